/** What `countersign lint` does. */

import { readFileSync } from "node:fs";
import { decodePem } from "../../../der/pem.ts";
import { type LintFinding, lintCertificate } from "../../../x509/lint/lint.ts";
import { CommandFailure, exitCodes } from "../../failure.ts";

interface FileFinding extends LintFinding {
  readonly file: string;
  /** Which certificate of the file, from 1. */
  readonly number: number;
}

export function lintFiles(files: readonly string[], flags: { readonly json?: boolean }): void {
  const findings = files.flatMap(lintFile);
  for (const one of findings) {
    console.log(
      flags.json
        ? JSON.stringify(one)
        : `${one.file}#${one.number}: ${one.severity} ${one.id}: ${one.message}`,
    );
  }
  const errors = findings.filter((one) => one.severity === "error").length;
  if (errors > 0) throw new CommandFailure(`${errors} errors`, exitCodes.failed);
  if (!flags.json) console.log(`${files.length} files, ${findings.length} findings, no error`);
}

function lintFile(file: string): FileFinding[] {
  return certificatesOf(file).flatMap((der, position) =>
    lintCertificate(der).map((finding) => ({ ...finding, file, number: position + 1 })),
  );
}

function certificatesOf(file: string): Uint8Array[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new CommandFailure(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (!bytes.includes("-----BEGIN")) return [bytes];
  const blocks = decodePem(bytes.toString("utf8")).filter((one) => one.label === "CERTIFICATE");
  if (blocks.length === 0) throw new CommandFailure(`${file} holds no certificate`);
  return blocks.map((one) => one.der);
}
