import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  planTakeOver,
  type TakeOverOptions,
  takeOver,
} from "../../../../src/ceremony/openssl/take-over.ts";
import { FolderOccupied } from "../../../../src/ceremony/refused.ts";
import { makeOpensslCa, type OpensslCa } from "../../../helpers/openssl-ca.ts";

let ca: OpensslCa;
beforeAll(() => {
  ca = makeOpensslCa({ passphrase: "typed by hand" });
});
afterAll(() => ca.remove());

const options = (data: string, more: Partial<TakeOverOptions> = {}): TakeOverOptions => ({
  data: ca.path(data),
  config: ca.path("openssl.cnf"),
  caSection: undefined,
  policy: undefined,
  extensionFiles: [],
  chain: undefined,
  passphrase: async () => "typed by hand",
  passphraseFile: undefined,
  hosts: [],
  port: 8443,
  httpPort: 8080,
  alarm: (message) => expect.unreachable(message),
  now: new Date(),
  ...more,
});

test("a passphrase that no file holds is found at once, and leaves the environment as it was", async () => {
  const before = { ...process.env };
  const plan = await planTakeOver(options("typed"));
  await takeOver(options("typed"), plan);
  expect(process.env).toEqual(before);
  expect(plan.yaml).toContain("env: COUNTERSIGN_ISSUER_PASSPHRASE");
  for (const name of readdirSync(ca.path("typed"))) {
    const text = readFileSync(join(ca.path("typed"), name), "latin1");
    expect([name, text.includes("typed by hand")]).toEqual([name, false]);
  }
  for (const name of ["issuing.key", "token.key", "operator.key"]) {
    expect(ca.read(`typed/${name}`)).toContain("ENCRYPTED");
  }
});

test("a folder that holds something is refused before the key is asked for", async () => {
  const asked = options(".", { passphrase: () => expect.unreachable("nothing is to be asked") });
  await expect(planTakeOver(asked)).rejects.toThrow(FolderOccupied);
});

test("a failure while it writes leaves no trace", async () => {
  const plan = await planTakeOver(options("undone"));
  const yaml = plan.yaml.replace("sqlite:", "nothing:");
  await expect(takeOver(options("undone"), { ...plan, yaml })).rejects.toThrow();
  expect(existsSync(ca.path("undone"))).toBe(false);
  expect(readdirSync(ca.folder).filter((name) => name.includes("importing"))).toEqual([]);
});
