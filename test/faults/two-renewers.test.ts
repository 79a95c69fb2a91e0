/** Several processes keep one folder renewed: a timer and a daemon, two replicas with one volume. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { enroll } from "../../src/client/index.ts";
import { identityFolder, opensslAccepts } from "../helpers/identity-folder.ts";
import { startShortLived, until } from "../helpers/node-services.ts";
import { runCountersign, startCountersign } from "../helpers/processes.ts";

interface Issued {
  readonly serial: string;
  readonly replaces?: string;
}

test("two daemons on one folder: every certificate is renewed once, and both have it", async () => {
  const { authority } = await startShortLived("6s");
  const dir = identityFolder();
  const terms = { profile: "peer", cn: "shared", sans: ["dns:localhost"] };
  await enroll({ dir, token: await authority.mint(terms) });
  const status = (n: number) => join(dir, "..", `status-${n}.json`);
  const daemons = [0, 1].map((n) =>
    startCountersign(["renew", "--daemon", "--dir", dir, "--status-file", status(n)]),
  );
  const said = () => daemons.map((one) => one.text()).join("\n---\n");
  const count = (word: string, text: string) =>
    [...text.matchAll(new RegExp(` ${word}: certificate`, "g"))].length;
  await until(() => count("renewed", said()) >= 5, 90, said);
  for (const daemon of daemons) await daemon.stop();

  const { text } = await authority.call("GET", "/v1/certificates?subject=shared&limit=100", {
    as: authority.operator,
  });
  const { items } = JSON.parse(text) as { items: Issued[] };
  const replaced = items.flatMap(({ replaces }) => replaces ?? []);
  expect(replaced.length).toBeGreaterThanOrEqual(5);
  expect(new Set(replaced).size, said()).toBe(replaced.length);
  expect(said()).not.toContain("failed");
  // What one renewed the other took: together they saw every change, each in its own log.
  for (const daemon of daemons) {
    const seen = count("renewed", daemon.text()) + count("found", daemon.text());
    expect(seen, said()).toBeGreaterThanOrEqual(replaced.length - 1);
  }
  opensslAccepts(dir);
});

test("four runs of `renew` at once, one token: one enrolment, and the others take it", async () => {
  const { authority } = await startShortLived("1h");
  const dir = identityFolder();
  const file = join(dir, "..", "token");
  writeFileSync(file, await authority.mint({ profile: "peer", cn: "replica", sans: [] }));
  const run = () =>
    runCountersign(["renew", "--dir", dir, "--url", authority.url, "--token-file", file]);
  const runs = await Promise.all(Array.from({ length: 4 }, run));
  expect(runs.map(({ code, err }) => [code, err])).toEqual(runs.map(() => [0, ""]));
  const { text } = await authority.call("GET", "/v1/certificates?subject=replica&limit=100", {
    as: authority.operator,
  });
  expect((JSON.parse(text) as { items: Issued[] }).items).toHaveLength(1);
  opensslAccepts(dir);
});
