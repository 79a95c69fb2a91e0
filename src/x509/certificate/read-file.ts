import { readFileSync } from "node:fs";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { type Certificate, parseCertificateChain } from "./read.ts";

/** The certificates of a file, in its order; there is at least one. */
export type CertificateFile = readonly [Certificate, ...Certificate[]];

/**
 * Reads a file of certificates (PEM). Text outside of the blocks is passed over, as OpenSSL writes
 * it. Refused with the file's name when it cannot be read, holds none, or something else besides.
 */
export function readCertificateFile(path: string): Outcome<CertificateFile> {
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    return refused("invalid-configuration", `${path} cannot be read (${code}).`);
  }
  const chain = parseCertificateChain(pem);
  if (!chain.ok) return refused("invalid-configuration", `${path}: ${chain.refusal.detail}.`);
  const [first, ...rest] = chain.value;
  return first === undefined
    ? refused("invalid-configuration", `${path} holds no certificate.`)
    : accepted([first, ...rest]);
}
