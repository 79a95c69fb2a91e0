import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { nodeSignOptions, type SignatureAlgorithm } from "../../x509/certificate/template.ts";
import { isQuick } from "../../x509/key/verify.ts";
import { deriveSealKey } from "./seal-key.ts";
import { type Signer, SignerUnavailable } from "./signer.ts";

const signOnPool = promisify(sign);

/**
 * Reads a private key (PEM; PKCS#8, SEC1 or PKCS#1, encrypted or not).
 * Throws SignerUnavailable with the file's name and what to do; never with a byte of the key.
 */
export function readPrivateKey(path: string, passphrase?: string): KeyObject {
  let pem: Buffer;
  try {
    pem = readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new SignerUnavailable(`${path} cannot be read (${code})`);
  }
  return parsePrivateKey(pem, path, passphrase);
}

/** The same of a key's PEM that is in memory, which is wiped; `path` names it in errors. */
export function parsePrivateKey(pem: Buffer, path: string, passphrase?: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    const encrypted = pem.includes("ENCRYPTED");
    throw new SignerUnavailable(
      encrypted && passphrase === undefined
        ? `${path} is encrypted: give its passphrase in issuer.passphrase or --passphrase-file`
        : encrypted
          ? `${path} cannot be decrypted with the passphrase given`
          : `${path} holds no readable private key (PEM expected)`,
    );
  } finally {
    pem.fill(0);
  }
}

/** The signature algorithm that fits a key when nothing else is asked for. */
export function defaultAlgorithm(key: KeyObject): SignatureAlgorithm {
  switch (key.asymmetricKeyType) {
    case "ec":
      switch (key.asymmetricKeyDetails?.namedCurve) {
        case "prime256v1":
          return "ecdsa-with-SHA256";
        case "secp384r1":
          return "ecdsa-with-SHA384";
        case "secp521r1":
          return "ecdsa-with-SHA512";
        default:
          throw new SignerUnavailable(
            `elliptic curve ${key.asymmetricKeyDetails?.namedCurve} is not supported for issuing: use P-256, P-384 or P-521`,
          );
      }
    case "rsa":
      return "sha256WithRSAEncryption";
    case "rsa-pss":
      return "rsassaPss-SHA256";
    case "ed25519":
      return "Ed25519";
    case "ed448":
      return "Ed448";
    default:
      throw new SignerUnavailable(`keys of type ${key.asymmetricKeyType} cannot issue`);
  }
}

/** From here on hashing holds the event loop for longer than handing over to the pool. */
const LONG_BYTES = 256 * 1024;

/** A signer over a key in memory, as a key file gives it. */
export function keySigner(
  key: KeyObject,
  algorithm: SignatureAlgorithm = defaultAlgorithm(key),
): Signer {
  const { digest, ...padding } = nodeSignOptions(algorithm);
  const publicKey = createPublicKey(key);
  const sealKey = deriveSealKey(key);
  // The key itself where it needs no options: an options object costs 20 µs a call on Node 24.
  const plain = padding.padding === undefined;
  const privateOptions = plain ? key : { key, ...padding };
  return isQuick(publicKey)
    ? {
        algorithm,
        publicKey,
        sealKey,
        // Hashing a long CRL takes longer than the signature itself: that, too, goes to the pool.
        sign: (tbs) =>
          tbs.length > LONG_BYTES
            ? signOnPool(digest, tbs, privateOptions)
            : sign(digest, tbs, privateOptions),
      }
    : {
        algorithm,
        publicKey,
        sealKey,
        sign: (tbs) => signOnPool(digest, tbs, privateOptions),
      };
}
