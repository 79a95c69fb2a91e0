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

/** What a form makes of the blank in the armour's first line. */
const encodedArmour = /-----BEGIN(\+|%20)/i;

/**
 * PEM (either label, CR LF, text around it), DER (also with a line end behind it) or base64 of
 * either → DER of one request. Text may be UTF-16. Refuses with `private-key-posted` for any
 * private key, else `malformed-csr`. Does not parse the request.
 */
export function requestBytes(body: Uint8Array): Outcome<Uint8Array> {
  if (body.length === 0) return malformed("The body is empty.");
  const der = wholeDer(body);
  const text = textOf(body);
  if (tellsPrivateKey(text)) return privateKey();
  if (der !== undefined) return checked(der);
  if (encodedArmour.test(text)) {
    return malformed(
      "The PEM is percent-encoded, as a form does it. Send the file as it is (curl --data-binary @request.csr).",
    );
  }
  if (pemLabels(text).length > 0) return requestOfPem(text);
  const decoded = decodeBase64(text);
  if (decoded === undefined) {
    return body[0] === 0x30 ? checked(body) : malformed("The body is neither PEM, DER nor base64.");
  }
  // The base64 of a PEM file, as Kubernetes and `base64 request.csr` write it.
  const inner = textOf(decoded);
  if (tellsPrivateKey(inner)) return privateKey();
  return pemLabels(inner).length > 0 ? requestOfPem(inner) : checked(decoded);
}

/** Whether a PEM starts somewhere in these bytes, in UTF-8 or UTF-16. */
export function holdsPem(body: Uint8Array): boolean {
  return textOf(body).includes("-----BEGIN");
}

function requestOfPem(text: string): Outcome<Uint8Array> {
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

/** The one SEQUENCE that these bytes are, without a line end behind it. */
function wholeDer(body: Uint8Array): Uint8Array | undefined {
  if (body[0] !== 0x30) return undefined;
  try {
    const reader = new DerReader(body);
    const der = reader.element(0x30, "der");
    const rest = Buffer.from(body.subarray(reader.offset)).toString("latin1");
    return /^(\r?\n)?$/.test(rest) ? der : undefined;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** One character an octet. UTF-16, as PowerShell writes it, loses its mark and the NUL beside each letter. */
function textOf(body: Uint8Array): string {
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1");
  const isUtf16 = /^(\xff\xfe|\xfe\xff|([\t-~]\0){4}|(\0[\t-~]){4})/.test(text);
  const plain = isUtf16 ? text.replaceAll("\0", "") : text;
  return plain.replace(/^(\xff\xfe|\xfe\xff|\xef\xbb\xbf)/, "");
}

function tellsPrivateKey(text: string): boolean {
  return namesPrivateKey.test(text) || isPrivateJwk(text);
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
