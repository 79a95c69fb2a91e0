/** What becomes of a CA's settings: policy and names, the operator, and the configuration's text. */

import { stringify } from "yaml";
import { oids } from "../../der/oid.ts";
import { readExtensionSection } from "../../openssl/extension-section.ts";
import {
  formatGeneralName,
  type GeneralName,
  generalName,
  parseGeneralNameText,
} from "../../x509/name/general-name.ts";
import {
  attributesOf,
  commonNameOf,
  type DistinguishedName,
  findAttributeType,
  makeName,
  type NameAttribute,
  nameFromAttributes,
} from "../../x509/name/read.ts";
import { authorityFiles } from "../folder.ts";
import type { Adoption } from "./adopt.ts";
import type { PlannedProfile } from "./profiles.ts";
import type { OpensslFolder } from "./read.ts";
import type { Telling } from "./telling.ts";

/** The policy section as policy.subject: long names, in its order. */
export function planSubject(
  folder: OpensslFolder,
  telling: Telling,
  faults: string[],
): Record<string, string> {
  const { settings, certificate } = folder;
  const own = new Set(attributesOf(certificate.subject).map(({ type }) => type));
  const subject: Record<string, string> = {};
  for (const { attribute, rule, at } of settings.policy) {
    const known = findAttributeType(attribute);
    if (known === undefined) {
      faults.push(
        `${at.file}, line ${at.line}: ${attribute}:unknown object type in 'policy' configuration.`,
      );
    } else if (rule === "match" && !own.has(known.oid)) {
      faults.push(
        `${at.file}, line ${at.line}: The ${attribute} field does not exist in the CA certificate, the 'policy' is misconfigured.`,
      );
    } else if (!settings.emailInDn && known.longName === "emailAddress") {
      telling.understood.push("email_in_dn = no: emailAddress is not copied into subjects.");
    } else subject[known.longName] = rule;
  }
  telling.understood.push(
    `[${settings.policySection}] is policy.subject: ${Object.entries(subject)
      .map(([name, rule]) => `${name} ${rule}`)
      .join(", ")}.`,
  );
  return subject;
}

/** Names of living certificates and of the sections: `openssl ca` has no rule for names to take over. */
export function planNames(
  folder: OpensslFolder,
  adoption: Adoption,
  now: Date,
  hosts: readonly GeneralName[],
) {
  const names = new Map<string, GeneralName>();
  const add = (name: GeneralName) => names.set(formatGeneralName(name), name);
  for (const { parsed, revocation } of adoption.rows) {
    if (parsed === undefined || revocation !== undefined || parsed.notAfter <= now) continue;
    parsed.subjectAltNames.forEach(add);
    for (const { type, value } of attributesOf(parsed.subject)) {
      const host =
        type === "2.5.4.3" && /[.:]/.test(value) ? parseGeneralNameText(value) : undefined;
      if (host?.ok) add(host.value);
      // An emailAddress of a subject is a name: what has one today can be renewed.
      const email = type === oids.emailAddress ? generalName("email", value) : undefined;
      if (email?.ok) add(email.value);
    }
  }
  for (const { config } of folder.extensionFiles) {
    for (const section of config.sectionNames) {
      const entries = config.section(section);
      const written = entries ? readExtensionSection(config, entries).subjectAltNames : [];
      for (const text of written) {
        const name = parseGeneralNameText(text);
        if (name.ok) add(name.value);
      }
    }
  }
  hosts.forEach(add);
  const of = (kind: GeneralName["kind"]) =>
    [...names.values()].filter((one) => one.kind === kind).map((one) => one.value);
  const dns = of("dns");
  const wildcards = dns.filter((one) => one.startsWith("*."));
  return {
    dns: [
      ...new Set([
        ...dns.filter((one) => !one.startsWith("*.")),
        ...wildcards.map((one) => one.slice(1)),
      ]),
    ],
    ip: of("ip"),
    uri: of("uri"),
    email: of("email"),
    upn: of("upn"),
    wildcard: wildcards.length > 0,
  };
}

/** A subject that the imported policy accepts: what matches from the CA, a word for the rest. */
export function planOperator(
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

/** What the configuration says beside what the CA's own files say. */
export interface PlannedConfig {
  readonly subject: Readonly<Record<string, string>>;
  readonly names: ReturnType<typeof planNames>;
  readonly profiles: ReadonlyMap<string, PlannedProfile>;
  /** Where the passphrase of the key is; undefined: the key is plain. */
  readonly passphrase: { readonly file: string } | { readonly env: string } | undefined;
}

/** The text of countersign.yaml. */
export function renderConfig(
  service: {
    /** The openssl.cnf that it is made from. */
    readonly config: string;
    readonly hosts: readonly GeneralName[];
    readonly port: number;
    readonly httpPort: number;
  },
  { certificate, settings }: OpensslFolder,
  { subject, names, profiles, passphrase }: PlannedConfig,
): string {
  const { port, httpPort } = service;
  const host = service.hosts.find((one) => one.kind === "dns")?.value ?? "localhost";
  const head = `# Made by \`countersign import openssl\` from ${service.config.replace(/[\r\n]/g, " ")} [${settings.section}].\n# Every key: docs/reference/configuration.md.\n\n`;
  return (
    head +
    stringify({
      name: commonNameOf(certificate.subject) ?? "Imported CA",
      publicUrl: `https://${host}:${port}`,
      publicHttpUrl: `http://${host}:${httpPort}`,
      listen: { host: "0.0.0.0", port, httpPort },
      database: "sqlite:countersign.db",
      issuer: {
        certificate: authorityFiles.issuing,
        chain: authorityFiles.chain,
        key: authorityFiles.issuingKey,
        ...(passphrase !== undefined && { passphrase }),
      },
      policy: { subject, stringTypes: "any", subjectAltName: names },
      profiles: Object.fromEntries(profiles),
      ...(settings.crlSeconds && { crl: { validity: `${settings.crlSeconds}s` } }),
    })
  );
}
