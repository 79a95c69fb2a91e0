/** Whether certificates follow from a trusted one, by their signatures (RFC 5280 6.1, the basics). */

import {
  type Certificate,
  parseCertificateChain,
  verifySignedBy,
} from "../../x509/certificate/read.ts";
import { extensionOids } from "../../x509/extensions/encode.ts";
import { parsePublicKey } from "../../x509/key/read-public.ts";
import { sameName } from "../../x509/name/read.ts";

/** No chain in use is longer. */
const LONGEST = 8;

/**
 * The path from `leaf` to one of `anchors` through `issuers`, each valid at `now`, each issuer a CA
 * that may sign certificates. Undefined when there is none.
 */
export function findPath(
  leaf: Certificate,
  issuers: readonly Certificate[],
  anchors: readonly Certificate[],
  now: Date,
): readonly Certificate[] | undefined {
  return extend([leaf], issuers, anchors, now);
}

function extend(
  path: readonly Certificate[],
  issuers: readonly Certificate[],
  anchors: readonly Certificate[],
  now: Date,
): readonly Certificate[] | undefined {
  const last = path.at(-1);
  if (last === undefined || path.length > LONGEST || !isValidAt(last, now)) return undefined;
  if (!isUnderstood(last)) return undefined;
  for (const anchor of anchors) {
    if (isIssuedBy(last, anchor, path.length - 1) && isValidAt(anchor, now))
      return [...path, anchor];
  }
  for (const issuer of issuers) {
    if (path.some((one) => one.sha256 === issuer.sha256)) continue;
    if (!isIssuedBy(last, issuer, path.length - 1)) continue;
    const found = extend([...path, issuer], issuers, anchors, now);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Critical extensions that are judged here, or by whoever asked for the path. */
const understood: ReadonlySet<string> = new Set([
  extensionOids.basicConstraints,
  extensionOids.keyUsage,
  extensionOids.extendedKeyUsage,
  extensionOids.subjectAltName,
  extensionOids.certificatePolicies,
]);

/** What is critical and not understood forbids the use (RFC 5280 4.2); nameConstraints is such. */
function isUnderstood({ extensions }: Certificate): boolean {
  return [...extensions].every(([oid, { critical }]) => !critical || understood.has(oid));
}

/** Inclusive at both ends (RFC 5280 4.1.2.5). */
export function isValidAt(certificate: Certificate, now: Date): boolean {
  return certificate.notBefore <= now && now <= certificate.notAfter;
}

/** Whether `issuer` is a CA that signed it, with `below` intermediate CAs already under it. */
function isIssuedBy(certificate: Certificate, issuer: Certificate, below: number): boolean {
  const { basicConstraints, keyUsage } = issuer;
  if (basicConstraints?.ca !== true) return false;
  if (keyUsage !== undefined && !keyUsage.includes("keyCertSign")) return false;
  if (basicConstraints.pathLength !== undefined && below > basicConstraints.pathLength)
    return false;
  if (!sameName(certificate.issuer, issuer.subject)) return false;
  const key = parsePublicKey(issuer.spki);
  return key.ok && verifySignedBy(certificate, key.value.keyObject);
}

/** Certificates of a PEM text; throws RangeError with what is wrong. */
export function readCertificates(pem: string): readonly Certificate[] {
  const parsed = parseCertificateChain(pem);
  if (!parsed.ok) throw new RangeError(parsed.refusal.detail);
  return parsed.value;
}
