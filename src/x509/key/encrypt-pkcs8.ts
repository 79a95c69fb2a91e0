/** Private keys under a passphrase: EncryptedPrivateKeyInfo (RFC 5958) with PBES2 (RFC 8018). */

import { createCipheriv, type KeyObject, pbkdf2Sync, randomBytes } from "node:crypto";
import { encodePem, type Pem } from "../../der/pem.ts";
import { integer, nullValue, octetString, oid, sequence } from "../../der/writer.ts";

/**
 * Rounds of PBKDF2 with HMAC-SHA-256 wherever a key is written under a password. What each guess
 * costs the thief of a backup (S-42); the runtime's own export does 2,048 and has no option for more.
 */
export const PBKDF2_ROUNDS = 600_000;

const oids = {
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacWithSha256: "1.2.840.113549.2.9",
  aes256Cbc: "2.16.840.1.101.3.4.1.42",
} as const;

/**
 * A private key as encrypted PKCS#8 PEM: AES-256-CBC, key of PBKDF2 with HMAC-SHA-256. Readable by
 * `openssl pkey` since 1.1, by `createPrivateKey`, Java and GnuTLS. Takes a tenth of a second.
 */
export function encryptedKeyPem(key: KeyObject, passphrase: string): Pem {
  const [salt, iv] = [randomBytes(16), randomBytes(16)];
  const secret = pbkdf2Sync(passphrase, salt, PBKDF2_ROUNDS, 32, "sha256");
  const cipher = createCipheriv("aes-256-cbc", secret, iv);
  const plain = key.export({ type: "pkcs8", format: "der" });
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  plain.fill(0);
  secret.fill(0);
  const derivation = sequence(
    oid(oids.pbkdf2),
    sequence(
      octetString(salt),
      integer(PBKDF2_ROUNDS),
      sequence(oid(oids.hmacWithSha256), nullValue()),
    ),
  );
  const encryption = sequence(oid(oids.aes256Cbc), octetString(iv));
  const der = sequence(
    sequence(oid(oids.pbes2), sequence(derivation, encryption)),
    octetString(encrypted),
  );
  return encodePem("ENCRYPTED PRIVATE KEY", der);
}
