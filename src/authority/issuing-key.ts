/**
 * The keys of the issuers. Only this room signs with them. Outside it an `IssuingKeys` can be made
 * and passed on. It gives the facts of its issuers, but never a signature.
 */

import type { KeyObject } from "node:crypto";
import { formatName } from "../x509/name/read.ts";
import { type Issuer, Issuers } from "./issuers.ts";
import { type CrlSigner, crlSigner } from "./signer/crl-signer.ts";
import { type Signer, SignerUnavailable } from "./signer/signer.ts";

/** An issuer and the key that belongs to it (`assembleIssuer` has proved that it does). */
export interface IssuerWithKey {
  readonly issuer: Issuer;
  readonly signer: Signer;
}

let findSigner: (keys: IssuingKeys, issuer: Issuer) => Signer | undefined;

export class IssuingKeys {
  readonly issuers: Issuers;
  /** By the id of the issuer. */
  readonly #signers: ReadonlyMap<string, Signer>;

  static {
    findSigner = (keys, { id }) => keys.#signers.get(id);
  }

  /** `active` signs new certificates, the others only what ends those that they made. */
  constructor(active: IssuerWithKey, retiring: readonly IssuerWithKey[] = []) {
    const all = [active, ...retiring];
    this.issuers = new Issuers(
      active.issuer,
      retiring.map((one) => one.issuer),
    );
    this.#signers = new Map(all.map(({ issuer, signer }) => [issuer.id, signer]));
  }
}

/** The key of an issuer, for this room only. Throws SignerUnavailable when it is not here. */
export function signerOf(keys: IssuingKeys, issuer: Issuer): Signer {
  const signer = findSigner(keys, issuer);
  if (signer === undefined) {
    throw new SignerUnavailable(
      `the key of issuer ${issuer.id} (${formatName(issuer.certificate.subject)}) is not here`,
    );
  }
  return signer;
}

/** What seals the rows of an issuer, for this room only. Throws as `signerOf` does. */
export function sealKeyOf(keys: IssuingKeys, issuer: Issuer): KeyObject {
  return signerOf(keys, issuer).sealKey;
}

/** What signs the CRLs of an issuer and can be given nothing else. Throws as `signerOf` does. */
export function crlSignerOf(keys: IssuingKeys, issuer: Issuer): CrlSigner {
  return crlSigner(signerOf(keys, issuer));
}
