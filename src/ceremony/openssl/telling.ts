/** The sentences that tell the person who imports what becomes of a CA. */

import { formatName } from "../../x509/name/read.ts";
import { isConforming } from "../../x509/serial.ts";
import type { Adoption } from "./adopt.ts";
import type { Faults, OpensslFolder } from "./read.ts";

/** What is told to the person who imports. */
export class Telling {
  readonly understood: string[] = [];
  readonly changed: string[] = [];
  readonly notTaken: string[] = [];
}

/** Tells of the CA's own certificate; what makes it unusable is a fault. */
export function tellCertificate(
  { certificate, chain }: OpensslFolder,
  telling: Telling,
  now: Date,
  faults: Faults,
): void {
  const until = certificate.notAfter.toISOString().slice(0, 10);
  telling.understood.push(
    `The CA is ${formatName(certificate.subject)}, until ${until}; its key belongs to it.`,
  );
  if (certificate.notAfter <= now)
    faults.say(
      `The CA certificate expired on ${certificate.notAfter.toISOString()}: nothing can be issued under it.`,
    );
  if (certificate.basicConstraints?.ca !== true)
    faults.say(
      "The CA certificate is not that of a CA: it lacks basicConstraints CA:TRUE (RFC 5280 4.2.1.9).",
    );
  if (chain.length === 0) {
    telling.changed.push(
      "The self-signed certificate issues directly, as before. Better is an issuing certificate below it, so that the root's key can leave this machine: countersign init --under.",
    );
  }
  if (certificate.subjectKeyIdentifier === undefined) {
    telling.changed.push(
      "The CA certificate has no subjectKeyIdentifier: new certificates name its key by the hash of RFC 5280 4.2.1.2.",
    );
  }
}

/** Tells how many certificates of which kind come over. */
export function tellRows(
  { newCertificates, crlNumber }: OpensslFolder,
  { rows }: Adoption,
  telling: Telling,
  now: Date,
): void {
  const count = (holds: (row: Adoption["rows"][number]) => boolean) => rows.filter(holds).length;
  const revoked = count((row) => row.revocation !== undefined);
  const expired = count((row) => row.revocation === undefined && row.certificate.notAfter <= now);
  telling.understood.push(
    `index: ${rows.length} rows, ${rows.length - revoked - expired} valid, ${revoked} revoked, ${expired} expired.`,
    `The next CRL has number ${crlNumber} or more.`,
  );
  const bare = count((row) => row.parsed === undefined);
  if (bare > 0) {
    telling.notTaken.push(
      `${bare} of ${rows.length} certificates are not in ${newCertificates}. Their rows are kept, and they can be revoked. Without its bytes such a certificate can neither authenticate nor renew.`,
    );
  }
  const odd = count((row) => !isConforming(row.certificate.serial));
  if (odd > 0) {
    telling.understood.push(
      `${odd} ${odd === 1 ? "certificate has a serial number" : "certificates have serial numbers"} that RFC 5280 4.1.2.2 does not allow (zero, or more than 20 octets with the sign). CRLs and OCSP name them as they are; some clients may not read such a CRL.`,
    );
  }
  const open = count(
    (row) =>
      row.parsed !== undefined &&
      row.parsed.extendedKeyUsage === undefined &&
      row.certificate.extendedKeyUsage.length > 0,
  );
  if (open > 0) {
    telling.understood.push(
      `${open} certificates have no extendedKeyUsage: they count as good for what nsCertType allows, or for client and server.`,
    );
  }
}

/** Tells which settings are kept, changed or left behind. */
export function tellSettings({ settings }: OpensslFolder, telling: Telling): void {
  const { understood, changed, notTaken } = telling;
  if (settings.crlSeconds !== undefined)
    understood.push(`CRLs are good for ${settings.crlSeconds / 3600} hours.`);
  changed.push(
    "serial: new serial numbers are random (128 bits and more), not counted.",
    "policy.stringTypes is any: the text of a name is compared, not its string type; `same` is what openssl ca does.",
  );
  if (settings.digest !== undefined && !/^(sha256|default)$/i.test(settings.digest)) {
    changed.push(
      `default_md = ${settings.digest}: the hash goes with the CA's key (SHA-256 for RSA and P-256).`,
    );
  }
  if (settings.uniqueSubject) {
    changed.push(
      "unique_subject = yes: not kept, since a renewal lives beside what it renews; policy.keyReuse looks at keys instead.",
    );
  }
  if (settings.copyExtensions !== "none") {
    changed.push(
      `copy_extensions = ${settings.copyExtensions}: of a request only its alternative names count, under policy.subjectAltName; nothing else is ever copied.`,
    );
  }
  if (settings.preserve) notTaken.push("preserve = yes: subjects have the order of the policy.");
  for (const [key, { file, line }] of settings.unread)
    notTaken.push(`${file}, line ${line}: ${key} has no counterpart.`);
}
