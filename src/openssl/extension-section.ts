/** Sections of extensions (x509v3_config(5)): what of them a profile can say. */

import type { ConfigEntry, OpensslConfig } from "./config-file.ts";

export interface ExtensionSection {
  /** The section makes certificates of CAs: no profile comes of it. */
  readonly ca: boolean;
  /** Names or OIDs as they are written. */
  readonly extendedKeyUsage: readonly string[];
  readonly keyUsage: readonly string[];
  readonly nsCertType: readonly string[];
  readonly nsComment: string | undefined;
  /** Alternative names in OpenSSL's writing: `DNS:web.example.test`, `IP:10.0.0.1`. */
  readonly subjectAltNames: readonly string[];
  /** Extensions that the service makes by itself, from its own addresses and keys. */
  readonly ownMaking: readonly ConfigPlace[];
  /** Extensions that no profile can say. */
  readonly unknown: readonly ConfigPlace[];
}

export interface ConfigPlace extends ConfigEntry {
  readonly name: string;
}

const ownMaking: ReadonlySet<string> = new Set([
  "crlDistributionPoints",
  "authorityInfoAccess",
  "nsCaRevocationUrl",
  "nsRevocationUrl",
  "nsBaseUrl",
]);
/** Made in every certificate, or nothing to make. */
const always: ReadonlySet<string> = new Set([
  "subjectKeyIdentifier",
  "authorityKeyIdentifier",
  "issuerAltName",
]);

/** Reads a section of extensions; lists in other sections (`@alt_names`) are followed. */
export function readExtensionSection(
  config: OpensslConfig,
  section: ReadonlyMap<string, ConfigEntry>,
): ExtensionSection {
  const words = (key: string) =>
    listOf(section.get(key)?.value ?? "").filter((one) => one !== "critical");
  const places = [...section].map(([name, entry]) => ({ name, ...entry }));
  const understood = new Set([
    ...["basicConstraints", "keyUsage", "extendedKeyUsage", "nsCertType", "nsComment"],
    "subjectAltName",
    ...always,
  ]);
  return {
    ca: words("basicConstraints").some((one) => /^CA:\s*(TRUE|true|1|yes|y)$/i.test(one)),
    extendedKeyUsage: words("extendedKeyUsage"),
    keyUsage: words("keyUsage"),
    nsCertType: words("nsCertType"),
    nsComment: section.get("nsComment")?.value,
    subjectAltNames: words("subjectAltName").flatMap((one) => namesOf(config, one)),
    ownMaking: places.filter(({ name }) => ownMaking.has(name)),
    unknown: places.filter(({ name }) => !ownMaking.has(name) && !understood.has(name)),
  };
}

/** Whether the keys of a section look like extensions at all. */
export function isExtensionSection(section: ReadonlyMap<string, ConfigEntry>): boolean {
  return ["basicConstraints", "keyUsage", "extendedKeyUsage", "nsCertType", "subjectAltName"].some(
    (key) => section.has(key),
  );
}

function namesOf(config: OpensslConfig, written: string): string[] {
  if (!written.startsWith("@")) return [written];
  const listed = config.section(written.slice(1)) ?? new Map<string, ConfigEntry>();
  // `DNS.1 = web.example.test`: what stands behind the dot only tells the keys apart.
  return [...listed].map(([key, { value }]) => `${key.replace(/\..*$/, "")}:${value}`);
}

function listOf(value: string): string[] {
  return value
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
