import type { Static } from "typebox";
import type { Authority } from "../../authority/authority.ts";
import { statusAt } from "../../authority/index-line.ts";
import type { Issued } from "../../authority/issue.ts";
import { encodePem } from "../../der/pem.ts";
import type { StoredCertificate } from "../../store/store.ts";
import { formatName } from "../../x509/name/read.ts";
import type { entry } from "./schemas.ts";

type EntryFields = Static<typeof entry>;

/** An entry of the index as REST shows it; JSON leaves out what is undefined. */
export type Entry = {
  readonly [K in keyof EntryFields]: Record<string, never> extends Pick<EntryFields, K>
    ? EntryFields[K] | undefined
    : EntryFields[K];
};

/** The entry without its PEM parts. */
export function toEntry(authority: Authority, stored: StoredCertificate): Entry {
  const issuer = authority.issuers.byId(stored.issuerId);
  return {
    serial: stored.serial,
    status: statusAt(stored, authority.now()),
    profile: stored.profile,
    subject: stored.subject,
    subjectAltNames: [...stored.subjectAltNames],
    issuer: issuer === undefined ? stored.issuerId : formatName(issuer.certificate.subject),
    notBefore: stored.notBefore.toISOString(),
    notAfter: stored.notAfter.toISOString(),
    issuedAt: stored.issuedAt.toISOString(),
    renewAfter: stored.renewAfter.toISOString(),
    sha256: stored.sha256,
    spkiSha256: stored.spkiSha256,
    keyType: stored.keyType,
    requestedBy: stored.requestedBy,
    via: stored.via,
    lineage: stored.lineage,
    replaces: stored.replaces,
    revokedAt: stored.revocation?.at.toISOString(),
    revocationReason: stored.revocation?.reason,
  };
}

/** The entry with certificate and chain as PEM; `der` is absent for imported rows without a file. */
export function toFullEntry(
  authority: Authority,
  stored: StoredCertificate,
  der: Uint8Array | undefined,
): Entry {
  if (der === undefined) return toEntry(authority, stored);
  return {
    ...toEntry(authority, stored),
    certificate: encodePem("CERTIFICATE", der),
    chain: intermediatesPemOf(authority, stored),
  };
}

/** Leaf first, then its issuer and those above it, below the root. */
export function toPemChain(
  authority: Authority,
  stored: StoredCertificate,
  der: Uint8Array,
): string {
  return encodePem("CERTIFICATE", der) + intermediatesPemOf(authority, stored);
}

/** Empty for a certificate of an issuer that is not here, such as some that were imported. */
function intermediatesPemOf(authority: Authority, { issuerId }: StoredCertificate): string {
  return authority.issuers.byId(issuerId)?.intermediatesPem ?? "";
}

/** The JSON answer to an issuance. */
export function toIssuedEntry(authority: Authority, issued: Issued) {
  return {
    ...toFullEntry(authority, issued.certificate, issued.der),
    notices: issued.notices,
  };
}
