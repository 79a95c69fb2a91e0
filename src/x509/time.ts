import type { DerReader } from "../der/reader.ts";

const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

/**
 * Reads a Time in the only forms that RFC 5280 4.1.2.5 allows: `YYMMDDHHMMSSZ` and
 * `YYYYMMDDHHMMSSZ`. `rightForm` says whether the year is in the form that is its own (UTCTime up
 * to 2049, GeneralizedTime after). Throws DerError.
 */
export function readTime(reader: DerReader, field: string): { at: Date; rightForm: boolean } {
  if (reader.peek() === UTC_TIME) {
    const digits = reader.content(UTC_TIME, field);
    if (digits.length !== 13) reader.fail("expected YYMMDDHHMMSSZ", field);
    const year = twoDigits(digits, 0);
    return {
      at: instant(reader, field, digits, year < 50 ? 2000 + year : 1900 + year, 2),
      rightForm: true,
    };
  }
  const at = readGeneralizedTime(reader, field);
  return { at, rightForm: at.getUTCFullYear() >= 2050 };
}

/** Reads a GeneralizedTime `YYYYMMDDHHMMSSZ` without fractions; throws DerError. */
export function readGeneralizedTime(reader: DerReader, field: string): Date {
  const digits = reader.content(GENERALIZED_TIME, field);
  if (digits.length !== 15) reader.fail("expected YYYYMMDDHHMMSSZ", field);
  return instant(reader, field, digits, twoDigits(digits, 0) * 100 + twoDigits(digits, 2), 4);
}

/**
 * The start of the second: times in certificates, CRLs and OCSP answers have no fractions
 * (RFC 5280 4.1.2.5, 5.1.2.4; RFC 6960 4.2.2.1). Before 1970 it goes back as well, never forward.
 */
export function wholeSeconds(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

function instant(
  reader: DerReader,
  field: string,
  digits: Uint8Array,
  year: number,
  from: number,
): Date {
  const month = twoDigits(digits, from);
  const day = twoDigits(digits, from + 2);
  const hour = twoDigits(digits, from + 4);
  const minute = twoDigits(digits, from + 6);
  const second = twoDigits(digits, from + 8);
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // Date.UTC takes the years 0 to 99 for 1900 to 1999.
  if (year < 100) at.setUTCFullYear(year);
  const exists =
    digits[digits.length - 1] === 0x5a &&
    at.getUTCFullYear() === year &&
    at.getUTCMonth() === month - 1 &&
    at.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  if (!exists) reader.fail("no such instant, or not in UTC with seconds", field);
  return at;
}

/** The number that two ASCII digits write; NaN when they are not digits. */
function twoDigits(digits: Uint8Array, at: number): number {
  const tens = (digits[at] ?? 0) - 0x30;
  const ones = (digits[at + 1] ?? 0) - 0x30;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}
