/** Makes certificate requests: for the client, and for the authority's own keys. */

import { type KeyObject, sign } from "node:crypto";
import { oids } from "../../der/oid.ts";
import * as der from "../../der/writer.ts";
import { type PublicKey, publicKeyOf } from "../key/read-public.ts";
import { encodeGeneralNames } from "../name/encode-general-names.ts";
import type { GeneralName } from "../name/general-name.ts";
import type { DistinguishedName } from "../name/make.ts";

/**
 * Encodes and signs a request (RFC 2986): ECDSA with the hash of the curve's size, RSA PKCS#1 v1.5
 * with SHA-256, Ed25519, Ed448. Throws DerError for a key of another kind.
 */
export function encodeRequest(options: {
  readonly subject: DistinguishedName;
  readonly subjectAltNames: readonly GeneralName[];
  readonly extensions?: readonly {
    readonly oid: string;
    readonly critical: boolean;
    readonly value: Uint8Array;
  }[];
  readonly privateKey: KeyObject;
}): Uint8Array {
  const publicKey = publicKeyOf(options.privateKey);
  const wanted = [...(options.extensions ?? [])];
  if (options.subjectAltNames.length > 0) {
    const value = encodeGeneralNames(options.subjectAltNames);
    wanted.unshift({ oid: oids.subjectAltName, critical: false, value });
  }
  const extensions = wanted.map((extension) =>
    der.sequence(
      der.oid(extension.oid),
      ...(extension.critical ? [der.boolean(true)] : []),
      der.octetString(extension.value),
    ),
  );
  const attribute = der.sequence(
    der.oid(oids.extensionRequest),
    der.set(der.sequence(...extensions)),
  );
  const attributes =
    extensions.length > 0 ? der.explicit(0, attribute) : der.implicit(0, new Uint8Array(), true);
  const info = der.sequence(der.integer(0), options.subject.der, publicKey.spki, attributes);
  const { digest, algorithm } = algorithmFor(publicKey);
  return der.sequence(info, algorithm, der.bitString(sign(digest, info, options.privateKey)));
}

function algorithmFor({ family, bits }: PublicKey): {
  digest: string | null;
  algorithm: Uint8Array;
} {
  if (family === "rsa") {
    const algorithm = der.sequence(der.oid(oids.sha256WithRSAEncryption), der.nullValue());
    return { digest: "sha256", algorithm };
  }
  if (family !== "ec") return { digest: null, algorithm: der.sequence(der.oid(oids[family])) };
  if (bits === 256)
    return { digest: "sha256", algorithm: der.sequence(der.oid(oids.ecdsaWithSha256)) };
  return bits === 384
    ? { digest: "sha384", algorithm: der.sequence(der.oid(oids.ecdsaWithSha384)) }
    : { digest: "sha512", algorithm: der.sequence(der.oid(oids.ecdsaWithSha512)) };
}
