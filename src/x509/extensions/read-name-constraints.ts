/** Reads nameConstraints (RFC 5280 4.2.1.10) and the names that they are about, as they stand. */

import { DerReader } from "../../der/reader.ts";

/** A GeneralName: its tag octet and its content. */
export interface RawName {
  readonly tag: number;
  readonly content: Uint8Array;
}

export interface Subtree extends RawName {
  /** Whether minimum and maximum are as RFC 5280 wants them: zero and absent. */
  readonly isPlain: boolean;
}

export interface NameConstraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

/** The value of a nameConstraints extension. Throws DerError. */
export function readNameConstraints(value: Uint8Array): NameConstraints {
  const outer = new DerReader(value, "nameConstraints");
  const fields = outer.enter(0x30, "nameConstraints");
  outer.end();
  const permitted = fields.peek() === 0xa0 ? readSubtrees(fields.enter(0xa0, "permitted")) : [];
  const excluded = fields.peek() === 0xa1 ? readSubtrees(fields.enter(0xa1, "excluded")) : [];
  fields.end();
  return { permitted, excluded };
}

/** The names of a GeneralNames SEQUENCE, of all kinds. Throws DerError. */
export function readRawNames(value: Uint8Array, field: string): RawName[] {
  const outer = new DerReader(value, field);
  const list = outer.enter(0x30, field);
  outer.end();
  const names: RawName[] = [];
  while (!list.done) names.push(list.any(field));
  return names;
}

function readSubtrees(list: DerReader): Subtree[] {
  const subtrees: Subtree[] = [];
  while (!list.done) {
    const fields = list.enter(0x30, "generalSubtree");
    const base = fields.any("base");
    let isPlain = true;
    if (fields.peek() === 0x80) {
      const minimum = fields.content(0x80, "minimum");
      isPlain = minimum.length === 1 && minimum[0] === 0;
    }
    if (fields.peek() === 0x81) {
      fields.content(0x81, "maximum");
      isPlain = false;
    }
    fields.end();
    subtrees.push({ ...base, isPlain });
  }
  return subtrees;
}
