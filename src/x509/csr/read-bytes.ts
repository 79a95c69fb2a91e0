/**
 * From what was posted to the bytes of one request. A private key is recognised and refused by
 * name; nothing of the body is ever repeated in a refusal.
 */

import { decodeBase64, decodePem, pemLabels } from "../../der/pem.ts";
import { DerError, DerReader } from "../../der/reader.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";

const labels = new Set(["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]);

/** PEM of any kind, SSH2 and PuTTY. Bounded, so that a body of BEGINs costs no more than another. */
const namesPrivateKey = /BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-/i;

/**
 * PEM (either label, CR LF, text around it), DER or bare base64 → DER of one request. Refuses with
 * `private-key-posted` for any private key, else `malformed-csr`. Does not parse the request.
 */
export function requestBytes(body: Uint8Array): Outcome<Uint8Array> {
  if (body.length === 0) return malformed("The body is empty.");
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1");
  if (namesPrivateKey.test(text) || isPrivateJwk(text)) return privateKey();
  const found = pemLabels(text);
  // 0x30 is also the digit "0", which text before a PEM may start with.
  if (body[0] === 0x30 && found.length === 0) return checked(body);
  if (found.length === 0) {
    const der = decodeBase64(text);
    return der === undefined ? malformed("The body is neither PEM, DER nor base64.") : checked(der);
  }
  try {
    const blocks = decodePem(text);
    for (const { der } of blocks) if (isPrivateKey(der)) return privateKey();
    const requests = blocks.filter(({ label }) => labels.has(label));
    const [request] = requests;
    if (request === undefined) return malformed("The PEM holds no CERTIFICATE REQUEST.");
    if (requests.length > 1) return malformed("The body holds more than one request. Send one.");
    return accepted(request.der);
  } catch (error) {
    if (error instanceof DerError) return malformed(`${error.message}.`);
    throw error;
  }
}

/** A JSON Web Key with its private part (RFC 7517, 7518 6.2.2). */
function isPrivateJwk(text: string): boolean {
  return text.includes('"kty"') && /"d"\s{0,9}:\s{0,9}"/.test(text);
}

function checked(der: Uint8Array): Outcome<Uint8Array> {
  return isPrivateKey(der) ? privateKey() : accepted(der);
}

function malformed(detail: string): Outcome<never> {
  return refused("malformed-csr", `${detail} Send what \`openssl req -new\` writes, PEM or DER.`);
}

function privateKey(): Outcome<never> {
  return refused(
    "private-key-posted",
    "The body holds a private key. It was not stored or logged, but it travelled: treat it as compromised, make a new key, and send only the certificate request.",
  );
}

/**
 * PKCS#8, also encrypted (RFC 5958), SEC 1 (RFC 5915), PKCS#1 (RFC 8017), or PKCS#12 (RFC 7292).
 * Each is recognised by its first fields.
 */
function isPrivateKey(der: Uint8Array): boolean {
  try {
    const fields = new DerReader(der).enter(0x30, "key");
    if (fields.peek() === 0x30) {
      fields.element(0x30, "key");
      return fields.peek() === 0x04;
    }
    const version = fields.content(0x02, "key");
    const next = fields.peek();
    if (version.length !== 1) return false;
    if (version[0] === 3) return next === 0x30;
    return (version[0] ?? 2) <= 1 && (next === 0x30 || next === 0x04 || next === 0x02);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}
