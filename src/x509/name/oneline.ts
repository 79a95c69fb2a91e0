import { findAttributeType } from "./attribute-types.ts";
import { formatNameOneline } from "./format.ts";
import { type DistinguishedName, type NameAttribute, nameFromAttributes } from "./make.ts";

const UTF8_STRING = 12;
const COMMON_NAME = "2.5.4.3";

/**
 * The name that X509_NAME_oneline wrote, as far as its text tells: `formatNameOneline` gives the
 * same text again. String types are lost in it, and so is the place where a value holds a slash
 * itself. What cannot be taken apart becomes one common name.
 */
export function nameOfOneline(text: string): DistinguishedName {
  const parts = text.split(/\/(?=(?:[A-Za-z]\w*|\d+(?:\.\d+)+)=)/);
  const attributes = parts.slice(1).map(attributeOf);
  if (parts[0] === "" && attributes.every((one) => one !== undefined)) {
    const name = nameFromAttributes(attributes);
    if (formatNameOneline(name) === text) return name;
  }
  const bytes = Buffer.from(text);
  return nameFromAttributes([{ type: COMMON_NAME, stringTag: UTF8_STRING, value: text, bytes }]);
}

function attributeOf(part: string): NameAttribute | undefined {
  const equals = part.indexOf("=");
  const label = part.slice(0, equals);
  const known = findAttributeType(label);
  const type = known?.oid ?? (/^\d/.test(label) ? label : undefined);
  if (type === undefined) return undefined;
  const octets = part
    .slice(equals + 1)
    .replace(/\\x([0-9A-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  const bytes = Buffer.from(octets, "latin1");
  return { type, stringTag: known?.stringTag ?? UTF8_STRING, value: bytes.toString(), bytes };
}
