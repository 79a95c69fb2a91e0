/** Certificate requests (PKCS#10, RFC 2986): only a request whose signature verified leaves here. */

import { hash } from "node:crypto";
import { oids, readOid } from "../../der/oid.ts";
import { DerError, DerReader } from "../../der/reader.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { type PublicKey, readPublicKey } from "../key/read-public.ts";
import type { GeneralName } from "../name/general-name.ts";
import { type DistinguishedName, readName } from "../name/read.ts";
import {
  type RequestedNames,
  readRequestedNames,
  type UnreadableName,
} from "../name/read-general-names.ts";
import { readRequestSignature, signatureVerifies } from "./read-signature.ts";

export { holdsPem, requestBytes } from "./read-bytes.ts";

export interface RequestedExtension {
  /** Dotted OID. */
  readonly oid: string;
  readonly name: string;
  readonly critical: boolean;
  /** What stands inside the extnValue OCTET STRING. */
  readonly value: Uint8Array;
}

interface RequestContent {
  readonly subject: DistinguishedName;
  readonly publicKey: PublicKey;
  readonly subjectAltNames: readonly GeneralName[];
  /** Names of kinds that are not issued, e.g. `directoryName`. */
  readonly unsupportedNames: readonly string[];
  /** Names that are none of their kind, e.g. `DNS:10.0.0.5`. */
  readonly unreadableNames: readonly UnreadableName[];
  /** Everything in extensionRequest, also in Microsoft's, subjectAltName included. */
  readonly extensions: readonly RequestedExtension[];
  /** Names (or OIDs) of the other attributes, e.g. `challengePassword`. */
  readonly attributes: readonly string[];
}

const proof = Symbol("possession was proved");
const INFO = "certificationRequestInfo";
const names = new Map<string, string>(Object.entries(oids).map(([name, dotted]) => [dotted, name]));

/** A request whose sender has the private key; made only by `verifyRequest` and `heldKeyRequest`. */
class ProvedRequest implements RequestContent {
  readonly der: Uint8Array;
  /** Lower-case hex of `der`; of the key for a request without bytes. */
  readonly sha256: string;
  readonly subject: DistinguishedName;
  readonly publicKey: PublicKey;
  readonly subjectAltNames: readonly GeneralName[];
  readonly unsupportedNames: readonly string[];
  readonly unreadableNames: readonly UnreadableName[];
  readonly extensions: readonly RequestedExtension[];
  readonly attributes: readonly string[];
  readonly signatureAlgorithm: string;
  /** Keeps object literals of the same shape from being taken for a proved request. */
  readonly #proof = proof;

  constructor(der: Uint8Array, content: RequestContent, signatureAlgorithm: string) {
    this.der = der;
    this.sha256 = hash("sha256", der.length > 0 ? der : content.publicKey.spki, "hex");
    this.subject = content.subject;
    this.publicKey = content.publicKey;
    this.subjectAltNames = content.subjectAltNames;
    this.unsupportedNames = content.unsupportedNames;
    this.unreadableNames = content.unreadableNames;
    this.extensions = content.extensions;
    this.attributes = content.attributes;
    this.signatureAlgorithm = signatureAlgorithm;
  }

  /** Whether a value came out of this file. */
  static isProved(value: object): boolean {
    return #proof in value && value.#proof === proof;
  }
}

export type VerifiedRequest = ProvedRequest;

/**
 * Parses one DER request and verifies its signature over the bytes as they came (RFC 2986 4.2).
 * Refuses with `malformed-csr` or `bad-proof-of-possession`; never throws for hostile input.
 */
export function verifyRequest(der: Uint8Array): Outcome<VerifiedRequest> {
  try {
    const outer = new DerReader(der, "certificationRequest");
    const request = outer.enter(0x30, "certificationRequest");
    outer.end();
    const from = request.offset;
    const content = readInfo(request.enter(0x30, INFO));
    const signed = der.subarray(from, request.offset);
    const how = readRequestSignature(request.enter(0x30, "signatureAlgorithm"));
    const bits = request.content(0x03, "signature");
    request.end();
    if (bits.length < 2 || bits[0] !== 0) request.fail("not whole octets", "signature");
    if (typeof how === "string") return refused("bad-proof-of-possession", how);
    if (signatureVerifies(how, content.publicKey, signed, bits.subarray(1))) {
      return accepted(new ProvedRequest(der, content, how.name));
    }
    return refused(
      "bad-proof-of-possession",
      `The request's ${how.name} signature does not verify with its ${content.publicKey.keyType} public key. Make the request again with the private key it is for.`,
    );
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return refused(
      "malformed-csr",
      `${error.message}. Send one request as \`openssl req -new\` writes it.`,
    );
  }
}

/** A request for a key whose possession the TLS handshake has proved (renewal without a body). */
export function heldKeyRequest(
  subject: DistinguishedName,
  publicKey: PublicKey,
  subjectAltNames: readonly GeneralName[],
): VerifiedRequest {
  const nothing = {
    unsupportedNames: [],
    unreadableNames: [],
    extensions: [],
    attributes: [],
  };
  const content = { subject, publicKey, subjectAltNames, ...nothing };
  return new ProvedRequest(new Uint8Array(), content, "TLS handshake");
}

/** Whether a value was made by `verifyRequest` or `heldKeyRequest`. */
export function isVerifiedRequest(value: object): value is VerifiedRequest {
  return ProvedRequest.isProved(value);
}

function readInfo(info: DerReader): RequestContent {
  const version = info.content(0x02, `${INFO}.version`);
  if (version.length !== 1 || version[0] !== 0) info.fail("not 0 (v1)", `${INFO}.version`);
  const subject = readName(info, `${INFO}.subject`);
  const field = `${INFO}.subjectPublicKeyInfo`;
  const start = info.offset;
  const spki = info.element(0x30, field);
  const publicKey = inPlace(start, () => readPublicKey(spki, field));
  // RFC 2986 wants the attributes even when empty; some writers leave them out, and so may they.
  const list = info.done ? undefined : info.enter(0xa0, `${INFO}.attributes`);
  const { attributes, extensions } = readAttributes(list);
  info.end();
  const alternative = extensions.find(({ oid }) => oid === oids.subjectAltName);
  const found: RequestedNames =
    alternative === undefined
      ? { names: [], unsupported: [], unreadable: [] }
      : inPlace(alternative.value.byteOffset - info.bytes.byteOffset, () =>
          readRequestedNames(alternative.value),
        );
  return {
    subject,
    publicKey,
    subjectAltNames: found.names,
    unsupportedNames: found.unsupported,
    unreadableNames: found.unreadable,
    extensions,
    attributes,
  };
}

function readAttributes(
  list: DerReader | undefined,
): Pick<RequestContent, "attributes" | "extensions"> {
  if (list === undefined) return { attributes: [], extensions: [] };
  const unused = new Set<string>();
  const extensions = new Map<string, RequestedExtension[]>();
  while (!list.done) {
    const attribute = list.enter(0x30, `${INFO}.attributes`);
    const type = readOid(attribute, `${INFO}.attributes`);
    const name = names.get(type) ?? type;
    const values = attribute.enter(0x31, `${INFO}.attributes`);
    attribute.end();
    if (type === oids.extensionRequest || type === oids.certExtensions) {
      if (extensions.has(type)) list.fail(`the attribute ${name} appears twice`);
      extensions.set(type, readExtensions(values.enter(0x30, `${INFO}.attributes.${name}`)));
      values.end();
    } else {
      // What these hold is of no use here, but it has to be whole elements.
      while (!values.done) values.any(`${INFO}.attributes.${name}`);
      unused.add(name);
    }
  }
  const [some = [], others = []] = [...extensions.values()];
  const more = others.filter((one) => !some.some((other) => isSame(one, other, list)));
  return { attributes: [...unused], extensions: [...some, ...more] };
}

/** Whether both attributes ask for this extension in the same way; in two ways is malformed. */
function isSame(one: RequestedExtension, other: RequestedExtension, list: DerReader): boolean {
  if (one.oid !== other.oid) return false;
  if (one.critical !== other.critical || Buffer.compare(one.value, other.value) !== 0) {
    list.fail(`extensionRequest and certExtensions ask for two different ${one.name}`);
  }
  return true;
}

function readExtensions(list: DerReader): RequestedExtension[] {
  const extensions: RequestedExtension[] = [];
  const seen = new Set<string>();
  while (!list.done) {
    const extension = list.enter(0x30, list.field);
    const oid = readOid(extension, `${list.field}.extnID`);
    const critical = extension.peek() === 0x01 ? readCritical(extension) : false;
    const value = extension.content(0x04, `${list.field}.extnValue`);
    extension.end();
    const name = names.get(oid) ?? oid;
    if (seen.has(oid)) list.fail(`the extension ${name} appears twice`);
    seen.add(oid);
    extensions.push({ oid, name, critical, value });
  }
  return extensions;
}

/** A BOOLEAN that is written out: DER's TRUE, or FALSE, which DER would leave out. */
function readCritical(extension: DerReader): boolean {
  const octets = extension.content(0x01, `${extension.field}.critical`);
  if (octets.length === 1 && octets[0] === 0) return false;
  if (octets.length !== 1 || octets[0] !== 0xff) extension.fail("critical is not DER's TRUE");
  return true;
}

/** Runs a reader of a part and lets its error count from the start of the whole. */
function inPlace<T>(start: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new DerError(error.problem, start + error.offset, error.field);
  }
}
