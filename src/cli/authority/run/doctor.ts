/** What `countersign doctor` does. */

import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { readRootList, rootListProblem, rootListUrls } from "../../../authority/crl/root-list.ts";
import { examineStore, formatExamination } from "../../../ceremony/examine-store.ts";
import type { CompiledConfig } from "../../../config/compile.ts";
import { rootCrlFile } from "../../../config/data-folder.ts";
import { openIssuingKeys } from "../../../config/open-authority.ts";
import { readCompiledConfig } from "../../configuration.ts";
import { CommandFailure } from "../../failure.ts";
import type { DataFlags } from "../../options.ts";

export interface DoctorFlags extends DataFlags {
  readonly json?: boolean;
}

interface Check {
  readonly check: string;
  readonly findings: readonly string[];
  /** What is worth knowing and wrong in no way. */
  readonly notes?: readonly string[];
}

export async function runDoctor(flags: DoctorFlags): Promise<void> {
  const config = readCompiledConfig(flags);
  const examination = await examineStore(config, new Date());
  const checks: Check[] = [
    // Anything wrong with the configuration has ended the command before.
    { check: "configuration", findings: [] },
    { check: "keys", findings: keyFindings(config) },
    { check: "issuer", findings: issuerFindings(config) },
    { check: "store", findings: examination.findings },
    rootListCheck(config),
  ];
  if (flags.json) console.log(JSON.stringify({ checks, ...examination }, null, 2));
  else {
    for (const { check, findings, notes = [] } of checks) {
      console.log(
        `${check.padEnd(14)}${findings.length === 0 ? "ok" : `${findings.length} found`}`,
      );
      for (const text of [...findings, ...notes]) console.log(`  ${text}`);
    }
    console.log(formatExamination(examination));
  }
  // The report has said it all.
  if (checks.some((one) => one.findings.length > 0)) throw new CommandFailure("");
}

/** A key that others can read is no secret any more. */
function keyFindings(config: CompiledConfig): string[] {
  const responders = readdirSync(config.dataDir).filter((name) => /^ocsp.*\.pem$/.test(name));
  const names = ["operator.key", "server.pem", "root.key", ...responders];
  const files = [
    ...config.issuers.map((one) => one.key),
    config.tokenKey,
    ...names.map((name) => join(config.dataDir, name)),
  ];
  return files
    .filter((file) => existsSync(file) && (statSync(file).mode & 0o077) !== 0)
    .map((file) => `${file} can be read by others: chmod 600 ${file}`);
}

/** The list that the issuing certificate names, and whether it can still be had there. */
function rootListCheck(config: CompiledConfig): Check {
  const check = "root CRL";
  const issuer = tryToOpen(config);
  if (issuer === undefined) return { check, findings: [] };
  const list = readRootList(join(config.dataDir, rootCrlFile));
  const problem = rootListProblem(issuer, list, new Date());
  const origin = config.publicHttpUrl?.origin;
  const elsewhere = rootListUrls(issuer).filter((url) => new URL(url).origin !== origin);
  const notes = elsewhere.map(
    (url) =>
      `the issuing certificate names ${url}: that address has to lead to this service's plain listener as well`,
  );
  return { check, findings: problem === undefined ? [] : [problem], notes };
}

/** What keeps it from being opened stands under `issuer`. */
function tryToOpen(config: CompiledConfig) {
  try {
    return openIssuingKeys(config, new Date()).issuers.active;
  } catch {
    return undefined;
  }
}

function issuerFindings(config: CompiledConfig): string[] {
  try {
    const { certificate } = openIssuingKeys(config, new Date()).issuers.active;
    const days = (certificate.notAfter.getTime() - Date.now()) / 86_400_000;
    return days > 90
      ? []
      : [`the issuing certificate ends on ${certificate.notAfter.toISOString()}: replace it`];
  } catch (error) {
    return (error as Error).message.split("\n");
  }
}
