import { createHash } from "node:crypto";
import type { StoredCertificate } from "../../store/store.ts";

/** RFC 9773 4.2: when the authority would like the certificate to be renewed. */
export interface RenewalWindow {
  readonly start: Date;
  readonly end: Date;
  /** How long the answer may be kept, in seconds. */
  readonly retryAfterSeconds: number;
}

const LONGEST_RETRY_SECONDS = 6 * 3600;

/**
 * The window for one certificate. It starts between `renewAfter` and half of what is then left, at
 * a place that the fingerprint decides. A thousand certificates issued in one minute come back
 * evenly spread, and each always gets the same answer. A revoked one should come at once: its
 * window lies in the past.
 */
export function renewalWindow(certificate: StoredCertificate, now: Date): RenewalWindow {
  const notBefore = certificate.notBefore.getTime();
  const notAfter = certificate.notAfter.getTime();
  const lifetime = notAfter - notBefore;
  const retryAfterSeconds = Math.max(
    1,
    Math.min(LONGEST_RETRY_SECONDS, Math.floor(lifetime / 10_000)),
  );
  if (certificate.revocation !== undefined) {
    const end = Math.min(certificate.revocation.at.getTime(), now.getTime()) - 1000;
    return { start: new Date(end - 3600_000), end: new Date(end), retryAfterSeconds };
  }
  const left = notAfter - certificate.renewAfter.getTime();
  const start = certificate.renewAfter.getTime() + (left / 2) * fractionOf(certificate);
  return { start: new Date(start), end: new Date(start + left / 8), retryAfterSeconds };
}

/** A number in [0, 1) that is the same for ever for this certificate and even over many. */
function fractionOf(certificate: StoredCertificate): number {
  const seed = `${certificate.issuerId}/${certificate.serial}`;
  return createHash("sha256").update(seed).digest().readUInt32BE(0) / 2 ** 32;
}
