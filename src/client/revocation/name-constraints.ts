/**
 * Whether names are within the nameConstraints of the CAs above them (RFC 5280 4.2.1.10). It is
 * never more generous than OpenSSL: what cannot be compared for certain is a violation.
 */

import { oids, readOid } from "../../der/oid.ts";
import { DerError, DerReader } from "../../der/reader.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { extensionOids } from "../../x509/extensions/encode.ts";
import {
  type RawName,
  readNameConstraints,
  readRawNames,
  type Subtree,
} from "../../x509/extensions/read-name-constraints.ts";
import { canonicalRdns } from "../../x509/name/canonical.ts";
import { attributesOf, readName } from "../../x509/name/read.ts";

const TAG = {
  otherName: 0xa0,
  email: 0x81,
  dns: 0x82,
  directoryName: 0xa4,
  uri: 0x86,
  ip: 0x87,
} as const;

const IA5_STRING = 0x16;
/** An internationalised mail address (RFC 8398): constraints on mail are about it too. */
const SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9";
/** Comparisons for one certificate; OpenSSL allows 2^20. */
const MOST_COMPARISONS = 65_536;

/** A name whose parts that are compared were made once: there may be thousands of comparisons. */
interface Prepared extends RawName {
  /** Hosts, and what stands before them, in lower case: the local part of an address keeps its own. */
  readonly text: string;
  /** Of a directoryName. */
  readonly rdns: readonly string[];
  /** Of an otherName, its type; of the others nothing. */
  readonly type: string | undefined;
}

interface PreparedConstraints {
  readonly permitted: readonly (Prepared & Subtree)[];
  readonly excluded: readonly (Prepared & Subtree)[];
}

/** A name with which nothing can be compared. Its text says why. */
class Incomparable extends Error {}

/**
 * Which name of a path breaks a constraint of which CA; undefined when none does. The path goes from
 * the end entity to the root, whose constraints count too, as in OpenSSL.
 */
export function constraintProblem(path: readonly Certificate[]): string | undefined {
  try {
    return firstProblem(path);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return `nameConstraints cannot be read: ${error.message}`;
  }
}

function firstProblem(path: readonly Certificate[]): string | undefined {
  const constraints = path.map(constraintsOf);
  for (const [index, certificate] of path.entries()) {
    // RFC 5280 6.1.3 (b): a CA that renews its own key is judged only where it is the last.
    if (index > 0 && isSelfIssued(certificate)) continue;
    for (const given of constraints.slice(index + 1)) {
      if (given === undefined) continue;
      const problem = violation(certificate, index === 0, given);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

/** Whether subject and issuer are the same name (RFC 5280 3.2). */
export function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return canonicalRdns(subject).join("\n") === canonicalRdns(issuer).join("\n");
}

function constraintsOf({ extensions }: Certificate): PreparedConstraints | undefined {
  const extension = extensions.get(extensionOids.nameConstraints);
  if (extension === undefined) return undefined;
  const { permitted, excluded } = readNameConstraints(extension.value);
  return { permitted: permitted.map(prepare), excluded: excluded.map(prepare) };
}

function prepare<Name extends RawName>(name: Name): Name & Prepared {
  const { tag, content } = name;
  const written = Buffer.from(content).toString("latin1");
  const local = tag === TAG.email ? written.lastIndexOf("@") : -1;
  const text = written.slice(0, local + 1) + asciiLower(written.slice(local + 1));
  const isDirectory = tag === TAG.directoryName;
  const rdns = isDirectory ? canonicalRdns(readName(new DerReader(content, "directoryName"))) : [];
  const type =
    tag === TAG.otherName ? readOid(new DerReader(content, "otherName"), "otherName") : undefined;
  return { ...name, text, rdns, type };
}

function violation(
  certificate: Certificate,
  isLeaf: boolean,
  { permitted, excluded }: PreparedConstraints,
): string | undefined {
  try {
    const names = namesOf(certificate, isLeaf).map(prepare);
    if (names.length * (permitted.length + excluded.length) > MOST_COMPARISONS) {
      throw new Incomparable("too many names and constraints to compare");
    }
    for (const name of names) {
      const allowed = permitted.filter((subtree) => isSameKind(name, subtree));
      // Every one is compared, so that one which cannot be compared is never passed over.
      if (allowed.length > 0 && allowed.filter((one) => matches(name, one)).length === 0) {
        return `its name ${describe(name)} is outside of what nameConstraints permit`;
      }
      const barred = excluded.filter((subtree) => isSameKind(name, subtree));
      if (barred.some((subtree) => matches(name, subtree, true))) {
        return `its name ${describe(name)} is one that nameConstraints exclude`;
      }
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof Incomparable)) throw error;
    return `its names cannot be held against nameConstraints: ${error.message}`;
  }
}

/** Subject, mail addresses in it, alternative names; the commonName where no DNS name is given. */
function namesOf(certificate: Certificate, isLeaf: boolean): RawName[] {
  const { subject, extensions } = certificate;
  const altNames = extensions.get(extensionOids.subjectAltName);
  const names = altNames === undefined ? [] : readRawNames(altNames.value, "subjectAltName");
  const hasDns = names.some(({ tag }) => tag === TAG.dns);
  if (subject.rdns.length > 0) names.push({ tag: TAG.directoryName, content: subject.der });
  for (const { type, stringTag, value, bytes } of attributesOf(subject)) {
    if (type === oids.emailAddress) {
      if (stringTag !== IA5_STRING) throw new Incomparable("an emailAddress is no IA5String");
      names.push({ tag: TAG.email, content: bytes });
    }
    if (type === oids.commonName && isLeaf && !hasDns && looksLikeDnsName(value)) {
      names.push({ tag: TAG.dns, content: Buffer.from(value.replace(/\0+$/, ""), "latin1") });
    }
  }
  return names;
}

/** A commonName that programs without alternative names would take for a host. */
function looksLikeDnsName(commonName: string): boolean {
  const text = commonName.replace(/\0+$/, "");
  if (text.includes("\0")) throw new Incomparable("a commonName holds a NUL");
  return /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)+$/i.test(
    text,
  );
}

function isSameKind(name: Prepared, subtree: Prepared): boolean {
  if (name.tag !== TAG.otherName) return name.tag === subtree.tag;
  if (name.type === SMTP_UTF8_MAILBOX && subtree.tag === TAG.email) return true;
  return subtree.tag === TAG.otherName && subtree.type === name.type;
}

function matches(name: Prepared, subtree: Prepared & Subtree, isExcluded = false): boolean {
  if (!subtree.isPlain) throw new Incomparable("a minimum or maximum, which RFC 5280 forbids");
  switch (name.tag) {
    case TAG.directoryName:
      return subtree.rdns.every((rdn, index) => name.rdns[index] === rdn);
    case TAG.dns:
      return isExcluded
        ? isHostExcluded(name.text, subtree.text)
        : isHostWithin(name.text, subtree.text);
    case TAG.email:
      return isMailWithin(name.text, subtree.text, isExcluded);
    case TAG.uri:
      return isUriWithin(name.text, subtree.text, isExcluded);
    case TAG.ip:
      return isAddressWithin(name.content, subtree.content);
    default:
      throw new Incomparable(`${describe(name)} is of a kind that is not compared`);
  }
}

/** The base itself and everything below it; below it alone where it starts with a dot. */
function isHostWithin(name: string, base: string): boolean {
  if (base === "" || name === base) return true;
  return name.endsWith(base.startsWith(".") ? base : `.${base}`);
}

/** What is excluded is so with a dot at its end, and under a wildcard that covers it. */
function isHostExcluded(name: string, base: string): boolean {
  const host = name.replace(/\.$/, "");
  if (isHostWithin(host, base)) return true;
  if (!host.startsWith("*.")) return false;
  const excluded = base.replace(/^\./, "");
  const label = excluded.slice(0, -(host.length - 1));
  return excluded.endsWith(host.slice(1)) && label !== "" && !label.includes(".");
}

/** A base is a mailbox, a host, or with a dot before it every host of a domain. */
function isMailWithin(address: string, base: string, isExcluded: boolean): boolean {
  const at = address.lastIndexOf("@");
  if (at < 0) throw new Incomparable("a mail address without @");
  const host = address.slice(at + 1);
  // Nobody agrees on what an empty base means: it excludes all and permits nothing.
  if (base === "") return isExcluded;
  if (base.startsWith(".") && !base.includes("@")) return host.endsWith(base);
  const baseAt = base.lastIndexOf("@");
  if (baseAt > 0 && address.slice(0, at) !== base.slice(0, baseAt)) return false;
  return host === base.slice(baseAt + 1);
}

/** A base is a host, or with a dot before it every host of a domain. */
function isUriWithin(uri: string, base: string, isExcluded: boolean): boolean {
  const written = /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9._-]+)(:\d*)?(\/|$)/.exec(uri)?.[1];
  if (written === undefined) {
    throw new Incomparable(`the URI ${uri.slice(0, 100)} names no plain host`);
  }
  const host = isExcluded ? written.replace(/\.$/, "") : written;
  return base.startsWith(".") ? host.length > base.length && host.endsWith(base) : host === base;
}

function isAddressWithin(address: Uint8Array, base: Uint8Array): boolean {
  const { length } = address;
  if (length !== 4 && length !== 16) throw new Incomparable("an address of no known length");
  if (base.length !== 8 && base.length !== 32) {
    throw new Incomparable("an address range of no known length");
  }
  if (base.length !== 2 * length) return false;
  return address.every(
    (octet, at) => ((octet ^ (base[at] ?? 0)) & (base[at + length] ?? 0xff)) === 0,
  );
}

function asciiLower(written: string): string {
  return written.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function describe(name: Prepared): string {
  if (name.tag === TAG.directoryName) return "(a distinguished name)";
  if (name.tag === TAG.ip) return Array.from(name.content).join(".");
  const isText = name.tag === TAG.dns || name.tag === TAG.email || name.tag === TAG.uri;
  if (!isText) return `of tag ${name.tag}`;
  return JSON.stringify(name.text.slice(0, 100).replace(/[^\x20-\x7e]/g, "?"));
}
