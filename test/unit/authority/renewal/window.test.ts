import { describe, expect, test } from "vitest";
import { renewalWindow } from "../../../../src/authority/renewal/window.ts";
import type { StoredCertificate } from "../../../../src/store/store.ts";

const DAY = 86_400_000;
const notBefore = new Date("2026-01-01T00:00:00Z");
const notAfter = new Date(notBefore.getTime() + 30 * DAY);
const renewAfter = new Date(notBefore.getTime() + 20 * DAY);

/** A thousand certificates that were issued in the same second. */
const together = Array.from(
  { length: 1000 },
  (_, i) =>
    ({
      issuerId: "0011223344556677",
      serial: (0x4000 + i).toString(16),
      notBefore,
      notAfter,
      renewAfter,
      revocation: undefined,
    }) as StoredCertificate,
);

describe("renewal windows", () => {
  test("of a thousand certificates issued together come evenly, not together", () => {
    const starts = together.map((one) => renewalWindow(one, notBefore).start.getTime());
    const buckets = Array.from({ length: 10 }, () => 0);
    for (const start of starts) {
      const share = (start - renewAfter.getTime()) / (5 * DAY);
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThan(1);
      buckets[Math.floor(share * 10)] = (buckets[Math.floor(share * 10)] ?? 0) + 1;
    }
    // 100 each are expected; five standard deviations to either side.
    for (const count of buckets) expect(Math.abs(count - 100)).toBeLessThan(48);
  });

  test("end before the certificate does, and say how long the answer holds", () => {
    for (const one of together.slice(0, 50)) {
      const window = renewalWindow(one, notBefore);
      expect(window.end > window.start && window.end < notAfter).toBe(true);
      expect(window.retryAfterSeconds).toBeGreaterThan(0);
      expect(window.retryAfterSeconds).toBeLessThanOrEqual(6 * 3600);
    }
  });
});
