/**
 * Which lists an issuer has, and what they are called: in addresses, in the store, in certificates.
 *
 * A partition's name says its number and how many there are (`3of16`), and a serial alone decides
 * which one it falls to. So a list of any count can be made from the history at any time, and
 * certificates that were issued under another count keep theirs.
 */

import type { CrlPartitions } from "../../x509/certificate/template.ts";

/** All certificates of an issuer, or those that fall to one of `count` partitions. */
export interface CrlScope {
  /** From 1 to `count`. */
  readonly partition: number;
  /** 1: all certificates, in one list. */
  readonly count: number;
}

export interface CrlName {
  readonly scope: CrlScope;
  /** The delta CRL of the scope (RFC 5280 5.2.4) instead of the complete one. */
  readonly delta: boolean;
}

export const wholeScope: CrlScope = { partition: 1, count: 1 };
export const completeCrl: CrlName = { scope: wholeScope, delta: false };

export const MOST_PARTITIONS = 1024;

/** Octets at the end of a serial that decide its partition; they are random in what we issue. */
const DECIDING_OCTETS = 4;

/** The partition of a serial (hex), from 1. */
export function partitionOf(serial: string, count: number): number {
  return 1 + (Number.parseInt(serial.slice(-2 * DECIDING_OCTETS), 16) % count);
}

/** The part of the address behind the issuer: `3of16`, `3of16-delta`, `delta`. */
const NAME = /^(?:(\d{1,4})of(\d{1,4}))?(?:(^|-)(delta))?$/;

/** Reads a name as it stands in an address; undefined for any other text. */
export function parseCrlName(text: string): CrlName | undefined {
  const found = NAME.exec(text);
  if (found === null || text === "") return undefined;
  const [, partition, count, separator, delta] = found;
  if (partition === undefined || count === undefined) {
    return separator === "" ? { scope: wholeScope, delta: true } : undefined;
  }
  const scope = { partition: Number(partition), count: Number(count) };
  const name = { scope, delta: delta !== undefined };
  const possible =
    scope.count > 1 && scope.count <= MOST_PARTITIONS && scope.partition <= scope.count;
  // One address for each list: no leading zeros, no partition 0.
  return possible && scope.partition > 0 && formatCrlName(name) === text ? name : undefined;
}

/** The inverse; empty for the complete list of all certificates. */
export function formatCrlName({ scope, delta }: CrlName): string {
  const parts = scope.count === 1 ? [] : [`${scope.partition}of${scope.count}`];
  return [...parts, ...(delta ? ["delta"] : [])].join("-");
}

/** The address of a list under the public address of the plain listener. */
export function crlUrl(origin: string, issuerId: string, name: CrlName): string {
  const list = formatCrlName(name);
  return list === "" ? `${origin}/crl/${issuerId}.crl` : `${origin}/crl/${issuerId}/${list}.crl`;
}

/** The lists that certificates name when they are spread over so many. */
export function crlPartitions(origin: string, issuerId: string, count: number): CrlPartitions {
  return {
    urls: Array.from({ length: count }, (_, at) =>
      crlUrl(origin, issuerId, { scope: { partition: at + 1, count }, delta: false }),
    ),
    indexOf: (serial) => partitionOf(serial, count) - 1,
  };
}

/** The store's sequence of numbers; a scope's complete lists and deltas share it (RFC 5280 5.2.3). */
export function crlSequence(issuerId: string, scope: CrlScope): string {
  const list = formatCrlName({ scope, delta: false });
  return list === "" ? `crl:${issuerId}` : `crl:${issuerId}:${list}`;
}

/** The same for the root's own CRL, which `countersign crl publish --root` makes. */
export function rootCrlSequence(rootId: string): string {
  return `crl:root:${rootId}`;
}

/** The fact that certificates were issued with so many partitions. */
export function partitionsFact(issuerId: string, count: number): string {
  return `${partitionsPrefix(issuerId)}${count}`;
}

/** What all of those facts start with. */
export function partitionsPrefix(issuerId: string): string {
  return `crl:${issuerId}:partitions:`;
}
