/**
 * The seal of a row: what the index says of a certificate and the certificate itself does not. That is
 * its profile, its lineage and who asked for it. The database cannot make one, so that a row that was
 * altered or made there gives nobody anything (S-35).
 */

import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import type { NewCertificate, StoredCertificate } from "../../store/store.ts";
import type { Issuer } from "../issuers.ts";
import { type IssuingKeys, sealKeyOf } from "../issuing-key.ts";

/** Seals a row under the key of its issuer; base64url. */
export function sealRow(key: KeyObject, row: NewCertificate): string {
  return macOf(key, row).toString("base64url");
}

/** The same with the keys of the authority. Throws SignerUnavailable when the issuer's is not here. */
export function sealFor(keys: IssuingKeys, issuer: Issuer, row: NewCertificate): string {
  return sealRow(sealKeyOf(keys, issuer), row);
}

/** Whether the row is as it was sealed. False also without a seal or without a key of its issuer. */
export function holdsSeal(keys: IssuingKeys, row: StoredCertificate): boolean {
  const issuer = keys.issuers.byId(row.issuerId);
  if (issuer === undefined || row.seal === undefined) return false;
  const seal = Buffer.from(row.seal, "base64url");
  const wanted = macOf(sealKeyOf(keys, issuer), row);
  return seal.length === wanted.length && timingSafeEqual(seal, wanted);
}

/** JSON keeps the boundaries of the values: no two rows give the same text. */
function macOf(key: KeyObject, row: NewCertificate): Buffer {
  const facts = [
    "row 1",
    row.issuerId,
    row.serial,
    row.sha256 ?? null,
    row.profile,
    row.issuedAt.getTime(),
    row.renewAfter.getTime(),
    row.requestedBy,
    row.via,
    row.lineage,
    row.lineageStartedAt.getTime(),
    row.replaces ?? null,
  ];
  return createHmac("sha256", key).update(JSON.stringify(facts)).digest();
}
