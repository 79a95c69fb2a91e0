import { expect, test } from "vitest";
import { startPair, startShortLived, until } from "../helpers/node-services.ts";

/** Seconds; a minute each in the long run. */
const LIFE = process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 60 : 10;

test(`two services in mutual TLS pass through five renewals of both without one failed request`, {
  timeout: LIFE * 8000,
}, async () => {
  const { authority, folder } = await startShortLived(`${LIFE}s`);
  const pair = await startPair(authority, folder);
  const explain = () => pair.map((one) => one.text().slice(-600)).join("\n");
  await until(() => pair.every((one) => one.report().renewals >= 5), LIFE * 7, explain);
  for (const one of pair) {
    const report = one.report();
    expect(report.failed).toEqual([]);
    // Constant load: more than ten answers for each second.
    expect(report.answered).toBeGreaterThan(LIFE * 3 * 10);
  }
});
