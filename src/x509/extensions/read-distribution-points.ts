/** Reads distribution points whole, so that scopes can be compared (RFC 5280 4.2.1.13, 5.2.5). */

import { DerReader } from "../../der/reader.ts";
import { canonicalName, canonicalRdn } from "../name/canonical.ts";
import { readName, readRdn } from "../name/read.ts";

/** A DistributionPointName; two are the same point when they share one of `names`. */
export type PointName =
  | { readonly names: readonly string[]; readonly urls: readonly string[] }
  /** One RDN below the name of the CRL's issuer, as `canonicalRdn` writes it. */
  | { readonly relative: string };

export interface DistributionPoint {
  readonly point: PointName | undefined;
  /** A bit for each reason; undefined: all of them. */
  readonly reasons: number | undefined;
  /** What names the CRL's issuer, where it is not the certificate's. */
  readonly crlIssuer: readonly string[] | undefined;
}

/** ReasonFlags of RFC 5280 4.2.1.13: bits 1 (keyCompromise) to 8 (aACompromise). */
export const allReasons = 0b1_1111_1110;

const TAG = { sequence: 0x30, uri: 0x86, directoryName: 0xa4 } as const;

/** The value of a cRLDistributionPoints or freshestCRL. Throws DerError. */
export function readDistributionPointList(value: Uint8Array): DistributionPoint[] {
  const outer = new DerReader(value, "cRLDistributionPoints");
  const points = outer.enter(TAG.sequence, "cRLDistributionPoints");
  outer.end();
  const found: DistributionPoint[] = [];
  do {
    const fields = points.enter(TAG.sequence, "distributionPoint");
    const point = fields.peek() === 0xa0 ? readPointName(fields) : undefined;
    const reasons = fields.peek() === 0x81 ? readReasonFlags(fields, 0x81) : undefined;
    const crlIssuer =
      fields.peek() === 0xa2 ? readNames(fields.enter(0xa2, "cRLIssuer")).names : undefined;
    fields.end();
    found.push({ point, reasons, crlIssuer });
  } while (!points.done);
  return found;
}

/** A DistributionPointName behind its [0]. Throws DerError. */
export function readPointName(fields: DerReader): PointName {
  const choice = fields.enter(0xa0, "distributionPoint");
  if (choice.peek() === 0xa1) {
    const rdn = readRdn(choice.enter(0xa1, "nameRelativeToCRLIssuer"), "nameRelativeToCRLIssuer");
    choice.end();
    return { relative: canonicalRdn(rdn) };
  }
  const names = readNames(choice.enter(0xa0, "fullName"));
  choice.end();
  return names;
}

/** ReasonFlags under an implicit tag, a bit for each reason; those without a name are left out. */
export function readReasonFlags(fields: DerReader, tag: number): number {
  const content = fields.content(tag, "reasons");
  if (content.length < 2 || (content[0] ?? 8) > 7) fields.fail("expected a BIT STRING", "reasons");
  let mask = 0;
  for (let bit = 1; bit <= 8; bit++) {
    if (((content[1 + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1) mask |= 1 << bit;
  }
  return mask;
}

function readNames(list: DerReader): { readonly names: string[]; readonly urls: string[] } {
  const names: string[] = [];
  const urls: string[] = [];
  while (!list.done) {
    const { tag, content } = list.any("generalName");
    names.push(
      tag === TAG.directoryName
        ? directoryKey(content)
        : `${tag}:${Buffer.from(content).toString("hex")}`,
    );
    if (tag === TAG.uri) urls.push(Buffer.from(content).toString("latin1"));
  }
  return { names, urls };
}

/** How `names` write a directoryName. */
export function directoryPointName(canonical: string): string {
  return `directory:${canonical}`;
}

function directoryKey(content: Uint8Array): string {
  const reader = new DerReader(content, "directoryName");
  const name = readName(reader, "directoryName");
  reader.end();
  return directoryPointName(canonicalName(name));
}
