/** PKCS#12 (RFC 7292): key and certificates in one file, as OpenSSL 3, Java and browsers read it. */

import type { KeyObject } from "node:crypto";
import { webcrypto } from "node:crypto";
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import { PBKDF2_ROUNDS } from "./encrypt-pkcs8.ts";

export interface Pkcs12Options {
  readonly privateKey: KeyObject;
  /** DER, the key's own certificate first, then its issuers. */
  readonly certificates: readonly Uint8Array[];
  readonly passphrase: string;
  readonly friendlyName: string;
}

/** Encodes a PFX (DER): PBES2 with AES-256-CBC, MAC with SHA-256. */
export async function encodePkcs12(options: Pkcs12Options): Promise<Uint8Array> {
  const crypto = new pkijs.CryptoEngine({ name: "node", crypto: webcrypto as never });
  pkijs.setEngine("node", crypto);
  const password = toBuffer(Buffer.from(options.passphrase, "utf8"));
  const localKeyId = webcrypto.getRandomValues(new Uint8Array(20));
  const attributes = () => [
    attribute("1.2.840.113549.1.9.20", new asn1js.BmpString({ value: options.friendlyName })),
    attribute("1.2.840.113549.1.9.21", new asn1js.OctetString({ valueHex: toBuffer(localKeyId) })),
  ];
  const pkcs8 = options.privateKey.export({ type: "pkcs8", format: "der" });
  const keyBag = new pkijs.PKCS8ShroudedKeyBag({
    parsedValue: pkijs.PrivateKeyInfo.fromBER(toBuffer(pkcs8)),
  });
  pkcs8.fill(0);
  const encryption = {
    password,
    contentEncryptionAlgorithm: { name: "AES-CBC", length: 256 },
    hmacHashAlgorithm: "SHA-256",
    iterationCount: PBKDF2_ROUNDS,
  };
  await keyBag.makeInternalValues(encryption as never);
  const certificateBags = options.certificates.map(
    (der, position) =>
      new pkijs.SafeBag({
        bagId: "1.2.840.113549.1.12.10.1.3",
        bagValue: new pkijs.CertBag({ parsedValue: pkijs.Certificate.fromBER(toBuffer(der)) }),
        ...(position === 0 && { bagAttributes: attributes() }),
      }),
  );
  const pfx = new pkijs.PFX({
    parsedValue: {
      integrityMode: 0,
      authenticatedSafe: new pkijs.AuthenticatedSafe({
        parsedValue: {
          safeContents: [
            {
              privacyMode: 0,
              value: new pkijs.SafeContents({
                safeBags: [
                  new pkijs.SafeBag({
                    bagId: "1.2.840.113549.1.12.10.1.2",
                    bagValue: keyBag,
                    bagAttributes: attributes(),
                  }),
                ],
              }),
            },
            { privacyMode: 1, value: new pkijs.SafeContents({ safeBags: certificateBags }) },
          ],
        },
      }),
    },
  });
  await pfx.parsedValue?.authenticatedSafe?.makeInternalValues({
    safeContents: [{}, encryption],
  } as never);
  await pfx.makeInternalValues({
    password,
    iterations: PBKDF2_ROUNDS,
    pbkdf2HashAlgorithm: "SHA-256",
    hmacHashAlgorithm: "SHA-256",
  } as never);
  return new Uint8Array(pfx.toSchema().toBER());
}

function attribute(type: string, value: asn1js.BaseBlock): pkijs.Attribute {
  return new pkijs.Attribute({ type, values: [value] });
}

/** A copy with a buffer of its own, as the library wants it. */
function toBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer as ArrayBuffer;
}
