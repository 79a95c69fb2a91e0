/** Textual encoding of RFC 7468: labels, armour, bundles. */

import { DerError } from "./reader.ts";

export type Pem = string;

/** One armoured block: its label, its bytes and where in the text it starts. */
export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
  readonly offset: number;
}

/** Armours bytes: lines of 64 columns and a trailing newline. */
export function encodePem(label: string, der: Uint8Array): Pem {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString("base64");
  let body = "";
  for (let at = 0; at < base64.length; at += 64) body += `${base64.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n`;
}

/**
 * All blocks of a text in their order; Text before, between and behind them is skipped. CR LF and
 * blanks at the ends of lines are fine. Throws DerError for a block that does not end, ends with
 * another label, or is not strict base64. Headers as in RFC 1421 are not base64.
 */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  const begin = /-----BEGIN ([ -~]{0,64}?)-----/g;
  for (let found = begin.exec(text); found !== null; found = begin.exec(text)) {
    const label = found[1] ?? "";
    const end = text.indexOf("-----", begin.lastIndex);
    const closing = `-----END ${label}-----`;
    if (end < 0 || !text.startsWith(closing, end)) {
      throw new DerError(`no matching "${closing}"`, found.index, "PEM");
    }
    const der = decodeBase64(text.slice(begin.lastIndex, end));
    if (der === undefined) throw new DerError("not base64", begin.lastIndex, `PEM ${label}`);
    blocks.push({ label, der, offset: found.index });
    begin.lastIndex = end + closing.length;
  }
  return blocks;
}

/** The labels of a text, also of blocks that cannot be read. */
export function pemLabels(text: string): string[] {
  return Array.from(text.matchAll(/-----BEGIN ([ -~]{0,64}?)-----/g), (found) => found[1] ?? "");
}

/** Strict base64 with line breaks; undefined for anything else. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/[ \t\r\n]+/g, "");
  if (digits.length === 0 || digits.length % 4 !== 0) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(digits)) return undefined;
  const bytes = Buffer.from(digits, "base64");
  // Buffer ignores bits that do not count; two texts for the same bytes are one too many.
  const padded = digits.endsWith("=");
  return padded && bytes.toString("base64") !== digits ? undefined : bytes;
}

/**
 * Base64url without padding (RFC 4648 5, as RFC 7515 2 wants it), in its one canonical spelling;
 * undefined for anything else. The bits of the last character that do not count must be zero. A
 * text that is taken for an identity may not have a second spelling.
 */
export function decodeBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}
