/** What the index says of a certificate: its standing, and its line of OpenSSL's `index.txt`. */

import { formatIndexLine } from "../openssl/index-txt.ts";
import type { CertificateStatus, StoredCertificate } from "../store/store.ts";
import { formatNameOneline, parseName } from "../x509/name/read.ts";

/** The standing of a certificate at an instant; computed from facts, stored nowhere. */
export function statusAt(certificate: StoredCertificate, now: Date): CertificateStatus {
  if (certificate.revocation !== undefined) {
    return certificate.revocation.reason === "certificateHold" ? "hold" : "revoked";
  }
  return certificate.notAfter <= now ? "expired" : "valid";
}

/** One line of OpenSSL's `index.txt` for a row, newline included. */
export function toIndexLine(stored: StoredCertificate, now: Date): string {
  const status = statusAt(stored, now);
  return formatIndexLine({
    status: status === "valid" ? "V" : status === "expired" ? "E" : "R",
    notAfter: stored.notAfter,
    revocation: stored.revocation && {
      at: stored.revocation.at,
      reason: stored.revocation.reason,
    },
    serial: stored.serial,
    file: undefined,
    subject: onelineOf(stored),
  });
}

function onelineOf(stored: StoredCertificate): string {
  const name = parseName(stored.subjectDer);
  return name.ok ? formatNameOneline(name.value) : stored.subject;
}
