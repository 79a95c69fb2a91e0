/** Temporary folders for identities, and what may be asserted of one. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A path for an identity in a temporary folder that goes away with the test. */
export function identityFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), "countersign-identity-"));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  return join(parent, "identity");
}

/** Proves with openssl that a folder is one whole, consistent identity; throws otherwise. */
export function opensslAccepts(dir: string): void {
  const run = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  run("verify", "-CAfile", "root.pem", "-untrusted", "chain.pem", "certificate.pem");
  const ofKey = run("pkey", "-in", "key.pem", "-pubout").toString();
  const ofCertificate = run("x509", "-in", "certificate.pem", "-noout", "-pubkey").toString();
  if (ofKey !== ofCertificate) throw new Error(`${dir}: key and certificate do not fit`);
}
