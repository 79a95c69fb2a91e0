/** What a certificate and a whole path must keep beside signatures, as `openssl verify -purpose`. */

import { DerReader } from "../../der/reader.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import {
  extendedKeyUsageOids,
  extensionName,
  extensionOids,
  type KeyUsage,
} from "../../x509/extensions/encode.ts";
import { constraintProblem, isSelfIssued } from "./name-constraints.ts";

/** What the peer presents itself as; the names of `openssl verify -purpose`. */
export type Purpose = "sslclient" | "sslserver";

const purposes: Readonly<
  Record<
    Purpose,
    {
      readonly extendedKeyUsage: string;
      readonly keyUsage: readonly KeyUsage[];
      readonly nsCertType: string;
      readonly words: string;
    }
  >
> = {
  sslclient: {
    extendedKeyUsage: extendedKeyUsageOids.clientAuth,
    keyUsage: ["digitalSignature", "keyAgreement"],
    nsCertType: "client",
    words: "client authentication",
  },
  sslserver: {
    extendedKeyUsage: extendedKeyUsageOids.serverAuth,
    keyUsage: ["digitalSignature", "keyEncipherment", "keyAgreement"],
    nsCertType: "server",
    words: "server authentication",
  },
};

/**
 * Critical extensions that are judged here or by OpenSSL are passed over. These are distribution
 * points, and policies as long as nobody asks for one (`openssl verify` without `-policy_check`).
 */
const understood: ReadonlySet<string> = new Set([
  extensionOids.basicConstraints,
  extensionOids.keyUsage,
  extensionOids.extendedKeyUsage,
  extensionOids.subjectAltName,
  extensionOids.nameConstraints,
  extensionOids.nsCertType,
  extensionOids.crlDistributionPoints,
  extensionOids.certificatePolicies,
  "2.5.29.33", // policyMappings
  "2.5.29.36", // policyConstraints
  "2.5.29.54", // inhibitAnyPolicy
]);

/** RFC 3820: a certificate that an end entity issued; OpenSSL refuses it unless told otherwise. */
const PROXY_CERT_INFO = "1.3.6.1.5.5.7.1.14";

/** Why an end entity's certificate is not meant for a purpose; undefined when it is. */
export function purposeProblem(certificate: Certificate, purpose: Purpose): string | undefined {
  const { extendedKeyUsage, keyUsage, nsCertType } = certificate;
  const wanted = purposes[purpose];
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.includes(wanted.extendedKeyUsage)) {
    return `is not meant for ${wanted.words}`;
  }
  if (keyUsage !== undefined && !wanted.keyUsage.some((usage) => keyUsage.includes(usage))) {
    return `has a keyUsage without ${wanted.keyUsage.join(", ")}, so it is not meant for ${wanted.words}`;
  }
  if (nsCertType !== undefined && !nsCertType.includes(wanted.nsCertType)) {
    return `has an nsCertType without ${wanted.nsCertType}, so it is not meant for ${wanted.words}`;
  }
  return undefined;
}

/** Why a certificate may not sign others at all, wherever it stands; undefined when it may. */
export function issuerProblem(certificate: Certificate, isRoot: boolean): string | undefined {
  const { basicConstraints, keyUsage } = certificate;
  const isCa = basicConstraints?.ca === true || (isRoot && isVersion1(certificate));
  if (!isCa) return "is not a CA (basicConstraints)";
  if (keyUsage !== undefined && !keyUsage.includes("keyCertSign")) {
    return "may not sign certificates (keyUsage without keyCertSign)";
  }
  return undefined;
}

/** Extensions came with version 3: an old root cannot say that it is a CA, and is trusted to be one. */
function isVersion1({ tbs }: Certificate): boolean {
  const version = new DerReader(tbs).enter(0x30, "tbsCertificate").peek();
  return version !== 0xa0;
}

/** Why a certificate cannot be used whatever it is for (RFC 5280 4.2); undefined when it can. */
export function extensionProblem({ extensions }: Certificate): string | undefined {
  if (extensions.has(PROXY_CERT_INFO)) return "is a proxy certificate";
  for (const [oid, { critical }] of extensions) {
    if (critical && !understood.has(oid)) {
      return `has the critical extension ${extensionName(oid)}, which is not understood`;
    }
  }
  return undefined;
}

/**
 * Why a path, from the end entity to the root, may not be relied on; undefined when it may.
 * Signatures and times are judged while it is built. Without `purpose` it may be for anything.
 */
export function pathProblem(
  path: readonly Certificate[],
  purpose: Purpose | undefined,
): string | undefined {
  let below = 0;
  for (const [depth, certificate] of path.entries()) {
    const problem =
      extensionProblem(certificate) ??
      (depth > 0 ? authorityProblem(certificate, below, purpose) : undefined);
    if (problem !== undefined) return `certificate ${certificate.serial} ${problem}`;
    // RFC 5280 4.2.1.9: CAs that issued to themselves do not count.
    if (depth > 0 && !isSelfIssued(certificate)) below++;
  }
  return constraintProblem(path);
}

function authorityProblem(
  certificate: Certificate,
  below: number,
  purpose: Purpose | undefined,
): string | undefined {
  const { basicConstraints, extendedKeyUsage } = certificate;
  const most = basicConstraints?.pathLength;
  if (most !== undefined && below > most) {
    return `allows ${most} CAs below it (pathLenConstraint), and there are ${below}`;
  }
  if (purpose === undefined || extendedKeyUsage === undefined) return undefined;
  const { extendedKeyUsage: wanted, words } = purposes[purpose];
  return extendedKeyUsage.includes(wanted)
    ? undefined
    : `may not issue for ${words} (extendedKeyUsage)`;
}
