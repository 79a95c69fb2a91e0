import { expect, test } from "vitest";
import { startPair, startShortLived, until } from "../helpers/node-services.ts";

test("two services live through an outage of the authority in which both should have renewed", {
  timeout: 90_000,
}, async () => {
  // Renewed from the middle of the life on, so that an outage has room before its end.
  const { authority, folder } = await startShortLived("24s", "1/2");
  const pair = await startPair(authority, folder);
  const explain = () => pair.map((one) => one.text().slice(-600)).join("\n");
  const renewals = () => pair.map((one) => Number(one.report().renewals));
  await until(() => renewals().every((count) => count >= 1), 30, explain);
  const before = renewals();
  await authority.service.stop();
  await until(() => pair.every((one) => one.report().failures >= 2), 30, explain);
  expect(renewals()).toEqual(before);
  await authority.restart();
  await until(() => renewals().every((count, n) => count > (before[n] ?? 0)), 20, explain);
  for (const one of pair) {
    expect(one.report().failed).toEqual([]);
    expect(one.report().answered).toBeGreaterThan(300);
    expect(one.text()).toContain("renewal: ");
  }
});
