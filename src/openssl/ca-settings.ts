/** What `openssl ca` takes from its section of `openssl.cnf` (openssl-ca(1), CONFIGURATION FILE OPTIONS). */

import { accepted, type Outcome, refused, type Violation } from "../refusal.ts";
import type { ConfigEntry, OpensslConfig } from "./config-file.ts";

export type SubjectRuleWord = "match" | "supplied" | "optional";

export interface CaSettings {
  /** Name of the section. */
  readonly section: string;
  /** Paths as they are written, relative to where `openssl ca` was run. */
  readonly certificate: ConfigEntry;
  readonly privateKey: ConfigEntry;
  readonly database: ConfigEntry;
  readonly newCertificates: ConfigEntry;
  readonly crlNumber: ConfigEntry | undefined;
  readonly policySection: string;
  /** In the order of the section. */
  readonly policy: readonly {
    readonly attribute: string;
    readonly rule: SubjectRuleWord;
    readonly at: ConfigEntry;
  }[];
  readonly extensionsSection: string | undefined;
  readonly copyExtensions: "none" | "copy" | "copyall";
  readonly defaultDays: number | undefined;
  readonly crlSeconds: number | undefined;
  readonly digest: string | undefined;
  readonly uniqueSubject: boolean;
  readonly emailInDn: boolean;
  readonly preserve: boolean;
  /** Keys of the section that nothing here reads. */
  readonly unread: ReadonlyMap<string, ConfigEntry>;
}

/** Keys that say how OpenSSL shows or keeps things: nothing to take over. */
const withoutBearing: ReadonlySet<string> = new Set([
  ...[
    "dir",
    "certs",
    "crl_dir",
    "crl",
    "serial",
    "RANDFILE",
    "rand_serial",
    "name_opt",
    "cert_opt",
  ],
  ...["string_mask", "utf8", "msie_hack", "crl_extensions", "oid_file", "oid_section"],
]);

/** What the flags of `openssl ca` choose: `-name` and `-policy`. */
export interface CaChoice {
  readonly section?: string | undefined;
  readonly policy?: string | undefined;
}

/**
 * Reads the section of a CA: the one chosen, else `default_ca` of the section `ca`. Refuses with
 * every problem, each with file and line.
 */
export function readCaSettings(
  config: OpensslConfig,
  choice: CaChoice,
  file: string,
): Outcome<CaSettings> {
  const section = choice.section ?? config.get("ca", "default_ca")?.value;
  const problems: Violation[] = [];
  const say = (at: { file: string; line?: number }, got: string, want: string) => {
    const place = at.line === undefined ? at.file : `${at.file}, line ${at.line}`;
    const field = at.line === undefined ? at.file : `${at.file}:${at.line}`;
    problems.push({ field, rule: "openssl.config", got, want, message: `${place}: ${want}.` });
  };
  const own = section === undefined ? undefined : config.section(section);
  if (section === undefined || own === undefined) {
    const want =
      section === undefined
        ? "there is no default_ca in a section [ca]; name the section with --ca-section"
        : `there is no section [${section}]`;
    say({ file }, "nothing", want);
    return end(problems);
  }
  const read = new Set<string>();
  const get = (key: string) => {
    read.add(key);
    return config.get(section, key);
  };
  const need = (key: string): ConfigEntry => {
    const entry = get(key);
    if (entry === undefined) say({ file }, "nothing", `section [${section}] lacks ${key}`);
    return entry ?? { value: "", file, line: 0 };
  };
  const count = (key: string) => {
    const entry = get(key);
    if (entry === undefined || /^\d{1,7}$/.test(entry.value)) return entry && Number(entry.value);
    say(entry, entry.value, `${key} is a whole number, not ${JSON.stringify(entry.value)}`);
    return undefined;
  };
  const yes = (key: string, otherwise: boolean) => {
    const entry = get(key);
    return entry === undefined ? otherwise : /^[yYtT1]/.test(entry.value);
  };
  const policySection =
    choice.policy === undefined ? need("policy") : { value: choice.policy, file, line: 0 };
  read.add("policy");
  const [days, hours] = [count("default_crl_days"), count("default_crl_hours")];
  const copy = get("copy_extensions");
  if (copy !== undefined && !/^(none|copy|copyall)$/.test(copy.value)) {
    say(copy, copy.value, "copy_extensions takes none, copy or copyall");
  }
  const settings: Omit<CaSettings, "unread"> = {
    section,
    certificate: need("certificate"),
    privateKey: need("private_key"),
    database: need("database"),
    newCertificates: need("new_certs_dir"),
    crlNumber: get("crlnumber"),
    policySection: policySection.value,
    policy: readPolicy(config, policySection, say),
    extensionsSection: get("x509_extensions")?.value,
    copyExtensions: (copy?.value ?? "none") as CaSettings["copyExtensions"],
    defaultDays: count("default_days"),
    crlSeconds: days || hours ? (days ?? 0) * 86_400 + (hours ?? 0) * 3_600 : undefined,
    digest: get("default_md")?.value,
    uniqueSubject: yes("unique_subject", true),
    emailInDn: yes("email_in_dn", true),
    preserve: yes("preserve", false),
  };
  const unread = [...own].filter(([key]) => !read.has(key) && !withoutBearing.has(key));
  return problems.length > 0 ? end(problems) : accepted({ ...settings, unread: new Map(unread) });
}

function readPolicy(
  config: OpensslConfig,
  at: ConfigEntry,
  say: (at: ConfigEntry, got: string, want: string) => void,
): CaSettings["policy"] {
  if (at.value === "") return [];
  const entries = config.section(at.value);
  if (entries === undefined) {
    say(at, at.value, `there is no section [${at.value}] for the policy`);
    return [];
  }
  return [...entries].flatMap(([attribute, entry]) => {
    if (/^(match|supplied|optional)$/.test(entry.value)) {
      return [{ attribute, rule: entry.value as SubjectRuleWord, at: entry }];
    }
    say(
      entry,
      entry.value,
      `${attribute} is match, supplied or optional, not ${JSON.stringify(entry.value)}`,
    );
    return [];
  });
}

function end(problems: readonly Violation[]): Outcome<never> {
  const count = problems.length === 1 ? "one fault" : `${problems.length} faults`;
  return refused("malformed-request", `The configuration has ${count}.`, { violations: problems });
}
