/** `countersign import openssl`: the folder of an `openssl ca` becomes an authority here. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { parsePrivateKey } from "../../authority/signer/key-file.ts";
import { authorityFiles, writeNewFile } from "../../ceremony/folder.ts";
import { type Adoption, carryOut, prepareAdoption } from "../../ceremony/openssl/adopt.ts";
import {
  type PlannedProfile,
  planNames,
  planProfiles,
  planSubject,
  profileByUsage,
  Telling,
} from "../../ceremony/openssl/plan.ts";
import { Faults, type OpensslFolder, readOpensslFolder } from "../../ceremony/openssl/read.ts";
import { issueOperator } from "../../ceremony/operator.ts";
import { configFile } from "../../config/load.ts";
import { ownHosts } from "../../config/own-hosts.ts";
import { encodePem } from "../../der/pem.ts";
import { generateKey, keyToPem } from "../../x509/key/private-key.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import {
  attributesOf,
  commonNameOf,
  type DistinguishedName,
  findAttributeType,
  formatName,
  makeName,
  type NameAttribute,
  nameFromAttributes,
} from "../../x509/name/read.ts";
import { CommandFailure, exitCodes } from "../failure.ts";
import { collectName } from "../names.ts";
import { countFlag, passphraseFlag } from "../options.ts";

interface ImportFlags {
  readonly data: string;
  readonly config: string;
  readonly caSection?: string;
  readonly policy?: string;
  readonly dryRun?: boolean;
  readonly passphraseFile?: string;
  readonly extfile: readonly string[];
  readonly chain?: string;
  readonly dns: readonly GeneralName[];
  readonly port: number;
  readonly httpPort: number;
}

/** The environment variable that the service reads a passphrase from which was typed at import. */
const PASSPHRASE_VARIABLE = "COUNTERSIGN_ISSUER_PASSPHRASE";

export function registerImport(program: Command): void {
  program
    .command("import")
    .description("take over an existing CA")
    .command("openssl")
    .description(
      "take over the folder of an `openssl ca`: key, policy, profiles, index, CRL number",
    )
    .requiredOption("--config <file>", "the openssl.cnf of the CA")
    .addOption(
      new Option("--data <dir>", "data folder; must not exist yet")
        .default("data")
        .env("COUNTERSIGN_DATA"),
    )
    .option("--ca-section <name>", "section of the CA instead of default_ca")
    .option("--policy <name>", "section of the policy instead of the CA's own")
    .option("--dry-run", "tell what would be done, and write nothing")
    .option(
      "--passphrase-file <file>",
      "passphrase of the CA key; asked for when it is needed and not given",
    )
    .option(
      "--extfile <file>",
      "a file of extensions, as for openssl's -extfile: a profile each (repeatable)",
      (file, all: string[]) => [...all, file],
      [],
    )
    .option(
      "--chain <file>",
      "certificates above the CA certificate, root last, when it is not self-signed",
    )
    .option("--dns <name>", "a name or address of the service (repeatable)", collectName, [])
    .option("--port <number>", "port of the TLS listener", countFlag, 8443)
    .option("--http-port <number>", "port of the plain listener", countFlag, 8080)
    .action(runImport);
}

/** All that an import will write, judged and ready. */
interface ImportPlan {
  readonly folder: OpensslFolder;
  readonly adoption: Adoption;
  readonly yaml: string;
  readonly operator: DistinguishedName;
  readonly passphrase: string | undefined;
}

async function runImport(flags: ImportFlags): Promise<void> {
  refuseOccupied(flags.data);
  const now = new Date();
  const telling = new Telling();
  const plan = await prepare(flags, telling, now);
  console.log(tell(telling));
  if (flags.dryRun) {
    console.log("\nDry run: nothing was written.");
    return;
  }
  await write(flags, plan, now);
  console.log(`\nImported into ${flags.data}. Next: countersign serve --data ${flags.data}`);
  console.log(
    "From now on issue and revoke here, not with `openssl ca`: two indexes of one CA drift apart.",
  );
}

async function prepare(flags: ImportFlags, telling: Telling, now: Date): Promise<ImportPlan> {
  const faults = new Faults();
  let passphrase: string | undefined;
  const folder = await readOpensslFolder(
    {
      config: flags.config,
      caSection: flags.caSection,
      policy: flags.policy,
      extensionFiles: flags.extfile,
      chain: flags.chain,
      passphrase: async (file) => {
        passphrase = flags.passphraseFile ? passphraseFlag(flags.passphraseFile) : await ask(file);
        return passphrase;
      },
    },
    faults,
  );
  if (folder === undefined) throw faultsFailure(faults.list);
  tellCertificate(folder, telling, now, faults);
  const profiles = planProfiles(folder, telling);
  const subject = planSubject(folder, telling, faults.list);
  const adoption = prepareAdoption({
    issuer: folder.certificate,
    rows: folder.rows,
    fileOf: folder.fileOf,
    profileOf: (usages) => profileByUsage(profiles, usages),
    now,
  });
  faults.list.push(...adoption.faults);
  if (faults.list.length > 0) throw faultsFailure(faults.list);
  tellRows(folder, adoption, telling, now);
  tellSettings(folder, telling);
  const names = planNames(folder, adoption, now, ownHosts(flags.dns));
  telling.changed.push(
    `openssl ca has no rule for alternative names, this service allows none without one: allowed are those of living certificates and of this machine (${names.dns.length} DNS, ${names.ip.length} IP, ${names.uri.length} URI, ${names.email.length} mail). Widen policy.subjectAltName for more.`,
  );
  const yaml = renderConfig(flags, folder, { subject, names, profiles }, passphrase);
  return { folder, adoption, yaml, operator: operatorSubject(folder, subject), passphrase };
}

/** Everything is made beside the data folder and gets its name at the very end: all or nothing. */
async function write(flags: ImportFlags, plan: ImportPlan, now: Date): Promise<void> {
  const { folder, passphrase } = plan;
  const target = resolve(flags.data);
  mkdirSync(dirname(target), { recursive: true });
  const staging = mkdtempSync(`${target}.importing-`);
  const put = (name: string, text: string, mode = 0o644) =>
    writeNewFile(join(staging, name), text, mode);
  const pem = (der: Uint8Array) => encodePem("CERTIFICATE", der);
  try {
    const own = pem(folder.certificate.der);
    const root = folder.chain.at(-1);
    put(authorityFiles.root, root === undefined ? own : pem(root.der));
    put(authorityFiles.issuing, own);
    put(authorityFiles.chain, own + folder.chain.map((one) => pem(one.der)).join(""));
    // Written anew: openssl's older formats derive the key of an encrypted file in one round.
    const issuingKey = parsePrivateKey(Buffer.from(folder.keyText), "the CA key", passphrase);
    put(authorityFiles.issuingKey, keyToPem(issuingKey, passphrase), 0o600);
    put(authorityFiles.tokenKey, keyToPem(generateKey("P-256"), passphrase), 0o600);
    put(configFile, plan.yaml);
    await issueOperator({
      folder: staging,
      name: commonNameOf(folder.certificate.subject) ?? "CA",
      subject: plan.operator,
      passphrase,
      reason: "import",
      overrides: { env: { [PASSPHRASE_VARIABLE]: passphrase }, flags: {} },
      alarm: (message) => console.error(message),
      also: (store) => carryOut(store, plan.adoption, folder.certificate, folder.crlNumber, now),
    });
    if (existsSync(target)) rmdirSync(target);
    renameSync(staging, target);
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    throw error;
  }
}

function refuseOccupied(data: string): void {
  if (!existsSync(data) || readdirSync(data).length === 0) return;
  throw new CommandFailure(
    `${data} is not empty: an import makes a new data folder and changes none. Choose another with --data.`,
    exitCodes.configuration,
  );
}

function faultsFailure(faults: readonly string[]): CommandFailure {
  const lines = faults.map((one) => `  ${one}`);
  return new CommandFailure(["Nothing was imported:", ...lines].join("\n"));
}

function tell({ understood, changed, notTaken }: Telling): string {
  const part = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [`${title}:`, ...lines.map((one) => `  - ${one}`)];
  return [
    ...part("Understood", understood),
    ...part("Changed, and why", changed),
    ...part("Not taken over", notTaken),
  ].join("\n");
}

function tellCertificate(
  { certificate, chain }: OpensslFolder,
  telling: Telling,
  now: Date,
  faults: Faults,
): void {
  const until = certificate.notAfter.toISOString().slice(0, 10);
  telling.understood.push(
    `The CA is ${formatName(certificate.subject)}, until ${until}; its key belongs to it.`,
  );
  if (certificate.notAfter <= now)
    faults.say(
      `The CA certificate expired on ${certificate.notAfter.toISOString()}: nothing can be issued under it.`,
    );
  if (certificate.basicConstraints?.ca !== true)
    faults.say(
      "The CA certificate is none of a CA: it lacks basicConstraints CA:TRUE (RFC 5280 4.2.1.9).",
    );
  if (chain.length === 0) {
    telling.changed.push(
      "The self-signed certificate issues directly, as before. Better is an issuing certificate below it, so that the root's key can leave this machine: countersign init --under.",
    );
  }
  if (certificate.subjectKeyIdentifier === undefined) {
    telling.changed.push(
      "The CA certificate has no subjectKeyIdentifier: new certificates name its key by the hash of RFC 5280 4.2.1.2.",
    );
  }
}

function tellRows(
  { newCertificates, crlNumber }: OpensslFolder,
  { rows }: Adoption,
  telling: Telling,
  now: Date,
): void {
  const count = (holds: (row: Adoption["rows"][number]) => boolean) => rows.filter(holds).length;
  const revoked = count((row) => row.revocation !== undefined);
  const expired = count((row) => row.revocation === undefined && row.certificate.notAfter <= now);
  telling.understood.push(
    `index: ${rows.length} rows, ${rows.length - revoked - expired} valid, ${revoked} revoked, ${expired} expired.`,
    `The next CRL has number ${crlNumber} or more.`,
  );
  const bare = count((row) => row.parsed === undefined);
  if (bare > 0) {
    telling.notTaken.push(
      `${bare} of ${rows.length} certificates are not in ${newCertificates}: their rows are kept, and revocation works; without its bytes such a certificate can neither authenticate nor renew.`,
    );
  }
  const open = count(
    (row) =>
      row.parsed !== undefined &&
      row.parsed.extendedKeyUsage === undefined &&
      row.certificate.extendedKeyUsage.length > 0,
  );
  if (open > 0) {
    telling.understood.push(
      `${open} certificates have no extendedKeyUsage: they count as good for what nsCertType allows, or for client and server.`,
    );
  }
}

function tellSettings({ settings }: OpensslFolder, telling: Telling): void {
  const { understood, changed, notTaken } = telling;
  if (settings.crlSeconds !== undefined)
    understood.push(`CRLs are good for ${settings.crlSeconds / 3600} hours.`);
  changed.push(
    "serial: new serial numbers are random (128 bits and more), not counted.",
    "policy.stringTypes is any: the text of a name is compared, not its string type; `same` is what openssl ca does.",
  );
  if (settings.digest !== undefined && !/^(sha256|default)$/i.test(settings.digest)) {
    changed.push(
      `default_md = ${settings.digest}: the hash goes with the CA's key (SHA-256 for RSA and P-256).`,
    );
  }
  if (settings.uniqueSubject) {
    changed.push(
      "unique_subject = yes: not kept, since a renewal lives beside what it renews; policy.keyReuse looks at keys instead.",
    );
  }
  if (settings.copyExtensions !== "none") {
    changed.push(
      `copy_extensions = ${settings.copyExtensions}: of a request only its alternative names count, under policy.subjectAltName; nothing else is ever copied.`,
    );
  }
  if (settings.preserve) notTaken.push("preserve = yes: subjects have the order of the policy.");
  for (const [key, { file, line }] of settings.unread)
    notTaken.push(`${file}, line ${line}: ${key} has no counterpart.`);
}

/** A subject that the imported policy accepts: what matches from the CA, a word for the rest. */
function operatorSubject(
  { certificate }: OpensslFolder,
  policy: Readonly<Record<string, string>>,
): DistinguishedName {
  const own = attributesOf(certificate.subject);
  const attributes = Object.entries(policy).flatMap(([name, rule]): NameAttribute[] => {
    const oid = findAttributeType(name)?.oid;
    const mine = own.find(({ type }) => type === oid);
    if (name === "commonName" && rule !== "match")
      return [...attributesOf(makeName([{ type: name, value: "operator" }]))];
    if (rule === "optional") return [];
    return mine
      ? [mine]
      : [
          ...attributesOf(
            makeName([{ type: name, value: name === "countryName" ? "XX" : "operator" }]),
          ),
        ];
  });
  return nameFromAttributes(attributes);
}

function renderConfig(
  flags: ImportFlags,
  { certificate, settings }: OpensslFolder,
  planned: {
    readonly subject: Readonly<Record<string, string>>;
    readonly names: ReturnType<typeof planNames>;
    readonly profiles: ReadonlyMap<string, PlannedProfile>;
  },
  passphrase: string | undefined,
): string {
  const host = flags.dns.find((one) => one.kind === "dns")?.value ?? "localhost";
  const secret = flags.passphraseFile
    ? { file: resolve(flags.passphraseFile) }
    : { env: PASSPHRASE_VARIABLE };
  const head = `# Made by \`countersign import openssl\` from ${flags.config.replace(/[\r\n]/g, " ")} [${settings.section}].\n# Every key: docs/reference/configuration.md.\n\n`;
  return (
    head +
    stringify({
      name: commonNameOf(certificate.subject) ?? "Imported CA",
      publicUrl: `https://${host}:${flags.port}`,
      publicHttpUrl: `http://${host}:${flags.httpPort}`,
      listen: { host: "0.0.0.0", port: flags.port, httpPort: flags.httpPort },
      database: "sqlite:countersign.db",
      issuer: {
        certificate: authorityFiles.issuing,
        chain: authorityFiles.chain,
        key: authorityFiles.issuingKey,
        ...(passphrase !== undefined && { passphrase: secret }),
      },
      policy: { subject: planned.subject, stringTypes: "any", subjectAltName: planned.names },
      profiles: Object.fromEntries(planned.profiles),
      ...(settings.crlSeconds && { crl: { validity: `${settings.crlSeconds}s` } }),
    })
  );
}

/** Asks on the terminal without showing what is typed. */
async function ask(file: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Error("give its passphrase with --passphrase-file");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stderr.write(`Passphrase of ${file}: `);
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const answer = await terminal.question("");
  terminal.close();
  process.stderr.write("\n");
  return answer;
}
