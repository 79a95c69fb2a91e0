import { accepted, type Outcome, refused } from "../refusal.ts";

const secondsOf: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
};

/** The written form of a duration, for JSON Schema and for error texts. */
export const durationPattern = "^[0-9]{1,12}[smhdwy]?$";

/**
 * Reads `15s`, `90m`, `36h`, `30d`, `2w`, `1y` (365 days) or whole seconds, as text or number, and
 * gives seconds. One number and one unit: what could be read in two ways (`1h30`, `1.5d`, `P30D`)
 * is refused with `malformed-request`, never guessed.
 *
 * @example parseDuration("36h") // { ok: true, value: 129600 }
 */
export function parseDuration(text: string | number): Outcome<number> {
  const match = /^([0-9]{1,12})([smhdwy]?)$/.exec(String(text));
  const amount = Number(match?.[1]);
  const seconds = amount * (secondsOf[match?.[2] || "s"] ?? 1);
  if (match === null || !Number.isSafeInteger(seconds)) {
    return refused(
      "malformed-request",
      `${JSON.stringify(text)} is not a duration; write one number and one of s, m, h, d, w, y, such as 36h or 30d`,
    );
  }
  return accepted(seconds);
}

/** Writes seconds in the largest unit that divides them: 129600 is `36h`. */
export function formatDuration(seconds: number): string {
  for (const unit of ["d", "h", "m"]) {
    const size = secondsOf[unit] ?? 1;
    if (seconds >= size && seconds % size === 0) {
      return `${seconds / size}${unit}`;
    }
  }
  return `${seconds}s`;
}
