/** The claim `subject` of an own token: `{ "organizationalUnitName": ["team-a"] }`. */

import { findAttributeType, makeAttribute, type NameAttribute } from "../../x509/name/read.ts";

/** The claim of these attributes, by long name (or dotted OID), values in their order. */
export function subjectClaim(attributes: readonly NameAttribute[]): Record<string, string[]> {
  const claim: Record<string, string[]> = {};
  for (const { type, value } of attributes) {
    const name = findAttributeType(type)?.longName ?? type;
    claim[name] = [...(claim[name] ?? []), value];
  }
  return claim;
}

/** The attributes of a claim; undefined when any of it is no attribute (fail closed). */
export function readSubjectClaim(claim: unknown): readonly NameAttribute[] | undefined {
  if (claim === undefined) return [];
  if (typeof claim !== "object" || claim === null) return undefined;
  const attributes: NameAttribute[] = [];
  for (const [type, values] of Object.entries(claim)) {
    if (!Array.isArray(values) || values.length === 0) return undefined;
    for (const value of values) {
      const attribute = typeof value === "string" ? readAttribute(type, value) : undefined;
      if (attribute === undefined) return undefined;
      attributes.push(attribute);
    }
  }
  return attributes;
}

function readAttribute(type: string, value: string): NameAttribute | undefined {
  try {
    return makeAttribute({ type, value });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
