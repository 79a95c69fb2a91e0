/** The profiles that the sections of a CA become. */

import { basename } from "node:path";
import type { ConfigEntry, OpensslConfig } from "../../openssl/config-file.ts";
import {
  type ExtensionSection,
  isExtensionSection,
  readExtensionSection,
} from "../../openssl/extension-section.ts";
import { extendedKeyUsageName, findExtendedKeyUsage } from "../../x509/extensions/encode.ts";
import type { OpensslFolder } from "./read.ts";
import type { Telling } from "./telling.ts";

/** A profile as it stands in countersign.yaml. */
export interface PlannedProfile {
  readonly extendedKeyUsage: readonly string[];
  readonly keyUsage?: readonly string[];
  readonly nsCertType?: readonly string[];
  readonly nsComment?: string;
  readonly validity: string;
  readonly role?: "operator";
}

const keyUsageWords = [
  ...["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment"],
  ...["keyAgreement", "encipherOnly", "decipherOnly"],
] as const;

/** Profiles by name: those of the configuration and of the extension files, then the usual ones. */
export function planProfiles(
  folder: OpensslFolder,
  telling: Telling,
): ReadonlyMap<string, PlannedProfile> {
  const { settings, config } = folder;
  const validity = `${settings.defaultDays ?? 30}d`;
  if (settings.defaultDays === undefined) {
    telling.changed.push("default_days is not set: profiles last 30 days.");
  }
  const profiles = new Map<string, PlannedProfile>();
  const add = (
    name: string,
    section: ReadonlyMap<string, ConfigEntry>,
    of: OpensslConfig,
    place: string,
  ) => {
    const read = readExtensionSection(of, section);
    if (read.ca) {
      telling.notTaken.push(
        `${place} makes CA certificates (CA:TRUE): no profile, since none is issued on request.`,
      );
      return;
    }
    const id = profileName(name, profiles);
    profiles.set(id, toProfile(read, validity, place, telling));
    telling.understood.push(`${place} is profile ${id}.`);
  };
  if (settings.extensionsSection !== undefined) {
    const section = config.section(settings.extensionsSection);
    if (section === undefined)
      telling.notTaken.push(
        `x509_extensions names [${settings.extensionsSection}], which is not there.`,
      );
    else add(settings.extensionsSection, section, config, `[${settings.extensionsSection}]`);
  }
  for (const { file, config: extensions } of folder.extensionFiles) {
    for (const { name, section } of sectionsOf(file, extensions))
      add(name, section, extensions, `${file} [${name}]`);
  }
  const usual: Readonly<Record<string, readonly string[]>> = {
    client: ["clientAuth"],
    server: ["serverAuth"],
    peer: ["clientAuth", "serverAuth"],
  };
  for (const [name, extendedKeyUsage] of Object.entries(usual)) {
    if (!profiles.has(name)) profiles.set(name, { extendedKeyUsage, validity });
  }
  profiles.set("operator", { extendedKeyUsage: ["clientAuth"], validity: "90d", role: "operator" });
  return profiles;
}

/** The profile that renews certificates of these usages: the same usages, or the most in common. */
export function profileByUsage(
  profiles: ReadonlyMap<string, PlannedProfile>,
  usages: readonly string[],
): string {
  const wanted = usages.map(extendedKeyUsageName);
  if (wanted.length === 0) return "imported";
  const scored = [...profiles]
    .filter(([, profile]) => profile.role === undefined)
    .map(([name, { extendedKeyUsage }]) => {
      const shared = extendedKeyUsage.filter((one) => wanted.includes(one)).length;
      return { name, score: 2 * shared - extendedKeyUsage.length - wanted.length };
    });
  return scored.sort((a, b) => b.score - a.score)[0]?.name ?? "imported";
}

function toProfile(
  read: ExtensionSection,
  validity: string,
  place: string,
  telling: Telling,
): PlannedProfile {
  const known = read.extendedKeyUsage.filter((one) => findExtendedKeyUsage(one) !== undefined);
  for (const one of read.extendedKeyUsage) {
    if (!known.includes(one))
      telling.notTaken.push(`${place}: the extended key usage ${one} is unknown here.`);
  }
  const byType = [
    ...(read.nsCertType.includes("client") ? ["clientAuth"] : []),
    ...(read.nsCertType.includes("server") ? ["serverAuth"] : []),
    ...(read.nsCertType.includes("email") ? ["emailProtection"] : []),
  ];
  const implied = byType.length > 0 ? byType : ["clientAuth", "serverAuth"];
  if (known.length === 0) {
    telling.changed.push(
      `${place} has no extendedKeyUsage, which allows every use: the profile says ${implied.join(", ")}.`,
    );
  }
  const folded = (text: string) =>
    text.replace(/ /g, "").toLowerCase().replace("contentcommitment", "nonrepudiation");
  const keyUsage = read.keyUsage.flatMap((one) => {
    const word = keyUsageWords.find((usage) => usage.toLowerCase() === folded(one));
    if (word === undefined)
      telling.notTaken.push(
        `${place}: the key usage ${one} belongs to no certificate issued on request.`,
      );
    return word === undefined ? [] : [word];
  });
  const types = read.nsCertType.filter((one) =>
    ["client", "server", "email", "objsign"].includes(one),
  );
  for (const { name, file, line } of read.ownMaking) {
    telling.changed.push(
      `${file}, line ${line}: ${name} is made from publicHttpUrl, where this service answers.`,
    );
  }
  for (const { name, file, line } of read.unknown) {
    telling.notTaken.push(
      `${file}, line ${line}: ${name} is not an extension that a profile can say.`,
    );
  }
  if (read.subjectAltNames.length > 0) {
    telling.changed.push(
      `${place}: subjectAltName is what a request asks for and policy.subjectAltName allows; its names are allowed there.`,
    );
  }
  return {
    extendedKeyUsage:
      known.length > 0
        ? known.map((one) => extendedKeyUsageName(findExtendedKeyUsage(one) ?? one))
        : implied,
    ...(keyUsage.length > 0 && { keyUsage }),
    ...(types.length > 0 && { nsCertType: types }),
    ...(read.nsComment !== undefined && { nsComment: read.nsComment }),
    validity,
  };
}

/** The sections of an extension file that `-extfile` could mean. */
function sectionsOf(file: string, config: OpensslConfig) {
  const named = config.get("default", "extensions")?.value;
  const names = named === undefined ? config.sectionNames : [named];
  return names.flatMap((name) => {
    const section = config.section(name);
    if (section === undefined || !isExtensionSection(section)) return [];
    return [{ name: name === "default" ? basename(file).replace(/\.\w+$/, "") : name, section }];
  });
}

function profileName(written: string, taken: ReadonlyMap<string, unknown>): string {
  const plain =
    written
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 50) || "profile";
  const first = plain === "operator" ? "operator-2" : plain;
  let name = first;
  for (let count = 2; taken.has(name); count++) name = `${first}-${count}`;
  return name;
}
