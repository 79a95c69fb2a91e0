/**
 * `index.txt`, the database of `openssl ca` (TXT_DB): six fields a line, separated by tabs. Times are
 * UTCTime or GeneralizedTime in `Z`; serials upper-case hex; the subject as X509_NAME_oneline.
 */

import { accepted, type Outcome, refused, type Violation } from "../refusal.ts";
import { parseSerial } from "../x509/serial.ts";

export interface IndexEntry {
  /** Valid, Revoked (a hold is a revocation with its own reason), Expired. */
  readonly status: "V" | "R" | "E";
  readonly notAfter: Date;
  readonly revocation: IndexRevocation | undefined;
  /** Lower-case hex, an even number of digits. */
  readonly serial: string;
  /** Name of the certificate's file; undefined is written as `unknown`. */
  readonly file: string | undefined;
  /** X509_NAME_oneline. */
  readonly subject: string;
}

export interface IndexRevocation {
  readonly at: Date;
  /** OpenSSL's word; undefined when the line has none. */
  readonly reason: string | undefined;
}

/** One line, newline included. */
export function formatIndexLine(entry: IndexEntry): string {
  const revoked =
    entry.status === "R" && entry.revocation ? formatRevocation(entry.revocation) : "";
  const fields = [
    entry.status,
    formatStamp(entry.notAfter),
    revoked,
    entry.serial.toUpperCase(),
    entry.file ?? "unknown",
    entry.subject,
  ];
  return `${fields.map(escapeField).join("\t")}\n`;
}

/** All entries of a file. Refuses with every bad line and its number. */
export function parseIndex(text: string): Outcome<readonly IndexEntry[]> {
  const entries: IndexEntry[] = [];
  const violations: Violation[] = [];
  const seen = new Map<string, number>();
  for (const [position, line] of text.split(/\r?\n/).entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const number = position + 1;
    const say = (got: string, want: string) =>
      violations.push({
        field: `line ${number}`,
        rule: "index.line",
        got,
        want,
        message: `index.txt, line ${number}: ${want} wanted, got ${JSON.stringify(got)}.`,
      });
    const entry = parseLine(line, say);
    if (entry === undefined) continue;
    const before = seen.get(entry.serial);
    if (before !== undefined)
      say(entry.serial, `each serial once (this one stands in line ${before} too)`);
    seen.set(entry.serial, number);
    entries.push(entry);
  }
  return violations.length === 0
    ? accepted(entries)
    : refused(
        "malformed-request",
        `index.txt has ${violations.length} bad ${violations.length === 1 ? "line" : "lines"}.`,
        { violations },
      );
}

function parseLine(line: string, say: (got: string, want: string) => void): IndexEntry | undefined {
  const fields = splitFields(line);
  const [status = "", end = "", revoked = "", text = "", file = "", subject = ""] = fields;
  if (fields.length !== 6) {
    say(line.slice(0, 80), "six fields separated by tabs");
    return undefined;
  }
  const notAfter = parseStamp(end);
  const serial = /^[0-9A-Fa-f]+$/.test(text) ? parseSerial(text) : undefined;
  const revocation = revoked === "" ? undefined : parseRevocation(revoked);
  const problems = [
    [/^[VRE]$/.test(status), status, "V, R or E in the first field"],
    [notAfter !== undefined, end, "a time such as 270101000000Z in the second field"],
    [
      (revoked === "") === (status !== "R"),
      revoked,
      "a revocation in the third field exactly when the first is R",
    ],
    [
      revoked === "" || revocation !== undefined,
      revoked,
      "a time, a comma and a reason in the third field",
    ],
    [
      serial !== undefined,
      text,
      "a serial in hex, not negative and of at most 20 octets, in the fourth field",
    ],
  ] as const;
  for (const [right, got, want] of problems) if (!right) say(got, want);
  if (problems.some(([right]) => !right)) return undefined;
  if (notAfter === undefined || serial === undefined) return undefined;
  return {
    status: status as IndexEntry["status"],
    notAfter,
    revocation,
    serial,
    file: file === "unknown" || file === "" ? undefined : file,
    subject,
  };
}

/** OpenSSL writes `date,reason`, and nothing for a reason that was not given. */
function formatRevocation({ at, reason }: IndexRevocation): string {
  const word = reason === undefined || reason === "unspecified" ? undefined : opensslReason(reason);
  return word === undefined ? formatStamp(at) : `${formatStamp(at)},${word}`;
}

/**
 * OpenSSL's spelling of RFC 5280's reasons (apps/ca.c, crl_reasons). It knows neither
 * privilegeWithdrawn nor aACompromise and refuses the whole index over such a word. So these are
 * written without a reason: the revocation itself must not be lost.
 */
function opensslReason(reason: string): string | undefined {
  if (reason === "cACompromise") return "CACompromise";
  return knownReasons.find((one) => one === reason);
}

function parseRevocation(text: string): IndexRevocation | undefined {
  const [stamp = "", reason, extra] = text.split(",");
  const at = parseStamp(stamp);
  if (at === undefined) return undefined;
  if (reason === undefined) return { at, reason: undefined };
  // With a time of compromise OpenSSL writes its own words: keyTime,<time> and CAkeyTime,<time>.
  if (reason === "keyTime" || reason === "CAkeyTime") {
    return extra && parseStamp(extra)
      ? { at, reason: reason === "keyTime" ? "keyCompromise" : "cACompromise" }
      : undefined;
  }
  // Followed by an object identifier that RFC 5280 no longer knows.
  if (reason === "holdInstruction") return { at, reason: "certificateHold" };
  const known = knownReasons.find((one) => one.toLowerCase() === reason.toLowerCase());
  return known === undefined ? undefined : { at, reason: known };
}

const knownReasons = [
  "unspecified",
  "keyCompromise",
  "cACompromise",
  "affiliationChanged",
  "superseded",
  "cessationOfOperation",
  "certificateHold",
  "removeFromCRL",
] as const;

/** UTCTime for 1950 to 2049, GeneralizedTime for the rest, as ASN1_TIME_print reads both. */
function formatStamp(date: Date): string {
  const text = `${date.toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
  const year = date.getUTCFullYear();
  return year >= 1950 && year < 2050 ? text.slice(2) : text;
}

function parseStamp(text: string): Date | undefined {
  const match = /^(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [, year = "", ...rest] = match;
  const full = year.length === 4 ? year : `${Number(year) >= 50 ? "19" : "20"}${year}`;
  const [month, day, hour, minute, second] = rest;
  const date = new Date(`${full}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // The 30th of February would become a day in March.
  return !Number.isNaN(date.getTime()) && date.getUTCDate() === Number(day) ? date : undefined;
}

/** TXT_DB escapes tabs with a backslash; line ends cannot stand in a line at all. */
function escapeField(text: string): string {
  return text
    .replace(/\t/g, "\\\t")
    .replace(/[\r\n]/g, (one) => (one === "\n" ? "\\x0A" : "\\x0D"));
}

function splitFields(line: string): string[] {
  const fields: string[] = [];
  let field = "";
  for (let at = 0; at < line.length; at++) {
    const one = line[at] ?? "";
    if (one === "\\" && line[at + 1] === "\t") {
      field += "\t";
      at++;
    } else if (one === "\t") {
      fields.push(field);
      field = "";
    } else field += one;
  }
  return [...fields, field];
}
