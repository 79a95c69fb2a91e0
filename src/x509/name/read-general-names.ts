/** Reads the names of a subjectAltName (RFC 5280 4.2.1.6). */

import ipaddr from "ipaddr.js";
import { decodeOid, oids, readOid } from "../../der/oid.ts";
import { DerReader } from "../../der/reader.ts";
import {
  formatGeneralName,
  type GeneralName,
  type GeneralNameKind,
  generalName,
  generalNameForms,
  isNameOf,
  showText,
} from "./general-name.ts";
import { suggestName } from "./suggest-name.ts";

/** The kinds as OpenSSL's configuration writes them. */
const opensslKinds: Readonly<Record<GeneralNameKind, string>> = {
  dns: "DNS",
  ip: "IP",
  uri: "URI",
  email: "email",
  upn: `otherName:${oids.userPrincipalName};UTF8`,
};
/** More names than any certificate should carry; bounds the work that one request causes. */
const MOST = 1000;

/** A name whose text is no name of its kind. */
export interface UnreadableName {
  /** Its place in the list, from 0. */
  readonly position: number;
  /** As OpenSSL would write it, in printable ASCII: `DNS:10.0.0.5`. */
  readonly shown: string;
  /** What a name of its kind is. */
  readonly want: string;
  /** What was probably meant: `IP:10.0.0.5`. */
  readonly meant: string | undefined;
}

export interface RequestedNames {
  /** Each once, in their order. */
  readonly names: readonly GeneralName[];
  /** Kinds that are not issued, as text. */
  readonly unsupported: readonly string[];
  readonly unreadable: readonly UnreadableName[];
}

/**
 * Reads a GeneralNames SEQUENCE. Kinds that are not issued come back as text in `unsupported`.
 * Throws DerError for what is malformed, also when only the text of the name is.
 */
export function readGeneralNames(
  der: Uint8Array,
  field = "subjectAltName",
): { names: readonly GeneralName[]; unsupported: readonly string[] } {
  const { names, unsupported } = readList(der, field, (list, { position, want }) =>
    list.fail(`not ${want}`, `${field}[${position}]`),
  );
  return { names, unsupported };
}

/** The same for a request, where a text that is no name of its kind is told beside all else. */
export function readRequestedNames(der: Uint8Array): RequestedNames {
  return readList(der, "subjectAltName");
}

function readList(
  der: Uint8Array,
  field: string,
  refuse?: (list: DerReader, name: UnreadableName) => void,
): RequestedNames {
  const outer = new DerReader(der, field);
  const list: DerReader = outer.enter(0x30, field);
  outer.end();
  const names = new Map<string, GeneralName>();
  const unsupported: string[] = [];
  const unreadable: UnreadableName[] = [];
  for (let position = 0; !list.done; position++) {
    if (position >= MOST) list.fail(`more than ${MOST} names`);
    const entryField = `${field}[${position}]`;
    const { tag, content } = list.any(entryField);
    const found = textOfName(tag, content, list, entryField);
    if (typeof found === "string") {
      unsupported.push(found);
      continue;
    }
    const name = found.text === undefined ? undefined : generalName(found.kind, found.text);
    if (name?.ok === true) {
      const key = formatGeneralName(name.value);
      if (!names.has(key)) names.set(key, name.value);
    } else {
      const broken = describeUnreadable(found, content, position);
      unreadable.push(broken);
      refuse?.(list, broken);
    }
  }
  return { names: [...names.values()], unsupported, unreadable };
}

/** Kind and text of a name, undefined where its octets are no text; or what kind is not issued. */
function textOfName(
  tag: number,
  content: Uint8Array,
  list: DerReader,
  field: string,
): { kind: GeneralNameKind; text: string | undefined } | string {
  if (tag === 0x81) return { kind: "email", text: ia5Text(content) };
  if (tag === 0x82) return { kind: "dns", text: ia5Text(content) };
  if (tag === 0x86) return { kind: "uri", text: ia5Text(content) };
  if (tag === 0x87) return { kind: "ip", text: addressText(content) };
  if (tag === 0x88) return `registeredID ${decodeOid(content)}`;
  if (tag === 0xa0) {
    const other = new DerReader(content, field);
    const type = readOid(other, field);
    if (type !== oids.userPrincipalName) return `otherName ${otherNames[type] ?? type}`;
    return { kind: "upn", text: principalName(other, field) };
  }
  const name = { 163: "x400Address", 164: "directoryName", 165: "ediPartyName" }[tag];
  return name ?? list.fail(`tag ${tag} is no GeneralName`, field);
}

/** Other names that are met often, by their names in RFC 4985, 4556 and 8398. */
const otherNames: Readonly<Record<string, string>> = {
  "1.3.6.1.5.5.7.8.7": "SRV-ID (1.3.6.1.5.5.7.8.7)",
  "1.3.6.1.5.2.2": "KRB5PrincipalName (1.3.6.1.5.2.2)",
  "1.3.6.1.5.5.7.8.9": "SmtpUTF8Mailbox (1.3.6.1.5.5.7.8.9)",
};

/** UPN ::= UTF8String, as [0] EXPLICIT. */
function principalName(other: DerReader, field: string): string | undefined {
  const wrapper = other.enter(0xa0, field);
  other.end();
  const octets = wrapper.content(0x0c, field);
  wrapper.end();
  const text = Buffer.from(octets).toString("utf8");
  return Buffer.from(text).equals(octets) ? text : undefined;
}

function describeUnreadable(
  found: { readonly kind: GeneralNameKind; readonly text: string | undefined },
  content: Uint8Array,
  position: number,
): UnreadableName {
  const text = found.text ?? Buffer.from(content).toString("utf8");
  const isText = !/[\p{Cc}\ufffd]/u.test(text);
  const octets = Buffer.from(content).toString("hex").slice(0, 100);
  return {
    position,
    shown: `${opensslKinds[found.kind]}:${isText ? showText(text).slice(1, -1) : `octets ${octets}`}`,
    want: generalNameForms[found.kind],
    meant: suggestName(text, isNameOf),
  };
}

function addressText(octets: Uint8Array): string | undefined {
  if (octets.length !== 4 && octets.length !== 16) return undefined;
  const address = ipaddr.fromByteArray(Array.from(octets));
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

function ia5Text(octets: Uint8Array): string | undefined {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1");
  return /^[\x21-\x7e]+$/.test(text) ? text : undefined;
}
