/**
 * Renewal makes a grant, nothing more: what the held certificate proves, until its lineage ends.
 * Whether today's policy still allows it is decided where every request is decided (S-06).
 */

import type { Grant } from "../../policy/grant.ts";
import type { Profile } from "../../policy/profile.ts";
import { accepted, type Outcome, refused, type Violation } from "../../refusal.ts";
import { type Certificate, parseCertificate } from "../../x509/certificate/read.ts";
import { heldKeyRequest, type VerifiedRequest, verifyRequest } from "../../x509/csr/read.ts";
import { parsePublicKey } from "../../x509/key/read-public.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import type { CertificateCaller } from "../caller.ts";
import { identityOf } from "../caller.ts";
import { roleOf } from "../proof/signed.ts";

/** A renewal ready for `issue`: the request (held key or new one) and what it may become. */
export interface Renewal {
  readonly request: VerifiedRequest;
  readonly grant: Grant;
}

/**
 * Prepares the renewal of the certificate that the caller holds.
 * `held` is the DER that the peer proved in the handshake; `csr` (DER) brings a new key, if given.
 * Refuses a lineage that is too old (`maxLineageAge`) and a request that does not verify.
 */
export function prepareRenewal(
  caller: CertificateCaller,
  held: Uint8Array,
  profile: Profile,
  csr: Uint8Array | undefined,
  now: Date,
): Outcome<Renewal> {
  const stored = caller.certificate;
  const certificate = parseCertificate(held);
  if (!certificate.ok) return certificate;
  const role = keepsRole(certificate.value, profile);
  if (!role.ok) return role;
  // From what was signed, not from the row: what grants is signed (S-35).
  const names = certificate.value.subjectAltNames;
  const capped = lineageCap(stored.lineageStartedAt, profile, now);
  if (!capped.ok) return capped;
  const request = csr === undefined ? sameKey(certificate.value, names) : verifyRequest(csr);
  if (!request.ok) return request;
  const fresh = proofAfterExpiry(certificate.value, csr, request.value, now);
  if (!fresh.ok) return fresh;
  return accepted({
    request: request.value,
    grant: {
      via: "renewal",
      requestedBy: identityOf(caller),
      profile: profile.name,
      commonName: undefined,
      subject: certificate.value.subject,
      names,
      fixedNames: true,
      heldSpkiSha256: certificate.value.spkiSha256,
      ...(capped.value && { notAfterCap: capped.value }),
    },
  });
}

function sameKey(held: Certificate, names: readonly GeneralName[]): Outcome<VerifiedRequest> {
  const key = parsePublicKey(held.spki);
  return key.ok ? accepted(heldKeyRequest(held.subject, key.value, names)) : key;
}

/**
 * An expired certificate is admitted only in its profile's grace, and then only with a proof of its
 * own. The proof is a request signed now by the key that it holds. A resumed session is not enough.
 */
function proofAfterExpiry(
  held: Certificate,
  csr: Uint8Array | undefined,
  request: VerifiedRequest,
  now: Date,
): Outcome<undefined> {
  if (held.notAfter > now) return accepted(undefined);
  if (csr !== undefined && request.publicKey.spkiSha256 === held.spkiSha256) {
    return accepted(undefined);
  }
  const violation: Violation = {
    field: "csr",
    rule: "renew.graceAfterExpiry",
    got: csr === undefined ? "no request" : "a request with another key",
    want: "a request signed by the key of the expired certificate",
    message:
      "The certificate has expired. Within the grace of its profile it is renewed only for a CSR that its own key signed.",
  };
  return refused("policy-violation", violation.message, { violations: [violation] });
}

/** A role is given when a certificate is issued, never by a renewal. */
function keepsRole(held: Certificate, profile: Profile): Outcome<undefined> {
  if (profile.role === undefined || roleOf(held) === profile.role) return accepted(undefined);
  const violation: Violation = {
    field: "profile",
    rule: "renew.role",
    got: "a certificate without the role",
    want: `a certificate with the role ${profile.role}`,
    message: `Profile ${profile.name} has the role ${profile.role}, which this certificate does not carry. A renewal cannot add it: issue a new certificate.`,
  };
  return refused("policy-violation", violation.message, { violations: [violation] });
}

function lineageCap(startedAt: Date, profile: Profile, now: Date): Outcome<Date | undefined> {
  const { maxLineageAgeSeconds } = profile.renew;
  if (maxLineageAgeSeconds === undefined) return accepted(undefined);
  const end = new Date(startedAt.getTime() + maxLineageAgeSeconds * 1000);
  if (end > now) return accepted(end);
  const violation: Violation = {
    field: "lineage",
    rule: "renew.maxLineageAge",
    got: `started ${startedAt.toISOString()}`,
    want: `younger than ${maxLineageAgeSeconds} seconds`,
    message: `This identity has been renewed since ${startedAt.toISOString()}; profile ${profile.name} ends a lineage after ${maxLineageAgeSeconds} seconds. Enrol again with a token.`,
  };
  return refused("policy-violation", violation.message, { violations: [violation] });
}
