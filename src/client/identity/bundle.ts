import { createPrivateKey } from "node:crypto";
import { commonNameOf } from "../../x509/name/read.ts";
import type { Identity } from "./identity.ts";

/** Key, certificate and issuers in one PEM, as haproxy, MongoDB and others want it. */
export function pemBundle({ set }: Identity): string {
  return set.key + set.fullchain;
}

/** Key, certificate, issuers and root in one PKCS#12 (DER) under a password. */
export async function pkcs12Bundle(identity: Identity, passphrase: string): Promise<Uint8Array> {
  const { certificate, issuers, root, set } = identity;
  const { encodePkcs12 } = await import("../../x509/key/encode-pkcs12.ts");
  return encodePkcs12({
    privateKey: createPrivateKey(set.key),
    certificates: [certificate, ...issuers, root].map((one) => one.der),
    passphrase,
    friendlyName: commonNameOf(certificate.subject) ?? certificate.serial,
  });
}
