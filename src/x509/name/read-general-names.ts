/** Reads the names of a subjectAltName (RFC 5280 4.2.1.6). */

import ipaddr from "ipaddr.js";
import { decodeOid, readOid } from "../../der/oid.ts";
import { DerReader } from "../../der/reader.ts";
import {
  formatGeneralName,
  type GeneralName,
  type GeneralNameKind,
  generalName,
  generalNameForms,
} from "./general-name.ts";

/** More names than any certificate should carry; bounds the work that one request causes. */
const MOST = 1000;

/**
 * Reads a GeneralNames SEQUENCE. Kinds that are not issued come back as text in `unsupported`.
 * Throws DerError for what is malformed, also when only the text of the name is.
 */
export function readGeneralNames(
  der: Uint8Array,
  field = "subjectAltName",
): { names: GeneralName[]; unsupported: string[] } {
  const outer = new DerReader(der, field);
  const list: DerReader = outer.enter(0x30, field);
  outer.end();
  const names: GeneralName[] = [];
  const unsupported: string[] = [];
  const seen = new Set<string>();
  while (!list.done) {
    const index = names.length + unsupported.length;
    if (index >= MOST) list.fail(`more than ${MOST} names`);
    const entryField = `${field}[${index}]`;
    const { tag, content } = list.any(entryField);
    const kind = kindOfTag(tag);
    if (kind === undefined) {
      unsupported.push(describeUnsupported(tag, content, list, entryField));
      continue;
    }
    const text = kind === "ip" ? addressText(content) : ia5Text(content);
    const name = text === undefined ? undefined : generalName(kind, text);
    if (name?.ok !== true) list.fail(`not ${generalNameForms[kind]}`, entryField);
    const key = formatGeneralName(name.value);
    if (!seen.has(key)) names.push(name.value);
    seen.add(key);
  }
  return { names, unsupported };
}

function kindOfTag(tag: number): GeneralNameKind | undefined {
  if (tag === 0x82) return "dns";
  if (tag === 0x87) return "ip";
  if (tag === 0x86) return "uri";
  return tag === 0x81 ? "email" : undefined;
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

function describeUnsupported(
  tag: number,
  content: Uint8Array,
  list: DerReader,
  field: string,
): string {
  if (tag === 0xa0) return `otherName ${readOid(new DerReader(content, field), field)}`;
  if (tag === 0x88) return `registeredID ${decodeOid(content)}`;
  const name = { 163: "x400Address", 164: "directoryName", 165: "ediPartyName" }[tag];
  return name ?? list.fail(`tag ${tag} is no GeneralName`, field);
}
