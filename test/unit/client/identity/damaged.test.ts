import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ClientError, enroll, loadIdentity } from "../../../../src/client/index.ts";
import { newKey, pemOf, startAuthority, type TestAuthority } from "../../../helpers/authority.ts";
import { identityFolder } from "../../../helpers/identity-folder.ts";
import { runCountersign } from "../../../helpers/processes.ts";

let authority: TestAuthority;
let whole: string;
beforeAll(async () => {
  authority = await startAuthority();
  whole = join(authority.folder, "..", "identity");
  await enroll({ dir: whole, token: await authority.mint({ profile: "peer", cn: "web" }) });
});
afterAll(() => authority?.stop());

/** A copy of the whole identity in which one file is damaged. */
function damaged(file: string, damage: (path: string) => void): string {
  const dir = identityFolder();
  cpSync(whole, dir, { recursive: true, verbatimSymlinks: true });
  damage(join(dir, "current", file));
  return dir;
}

function whyOf(dir: string): string {
  try {
    loadIdentity(dir);
  } catch (error) {
    if (error instanceof ClientError && error.code === "bad-folder") return error.message;
    throw error;
  }
  return "it was read";
}

const write = (text: string) => (path: string) => writeFileSync(path, text);
const cut = (path: string) => writeFileSync(path, readFileSync(path, "utf8").slice(0, 90));

test.each<[string, string, (path: string) => void, RegExp]>([
  ["key.pem", "is empty", write(""), /is empty; it should hold a private key in PEM/],
  ["key.pem", "is cut short", cut, /does not hold a private key/],
  ["key.pem", "is something else", write("DECODER"), /does not hold a private key/],
  [
    "key.pem",
    "belongs to another",
    write(pemOf(newKey())),
    /is another key than that of the certificate/,
  ],
  ["fullchain.pem", "is cut short", cut, /does not hold certificates in PEM/],
  ["fullchain.pem", "is empty", write("\n"), /is empty; it should hold certificates/],
  ["root.pem", "is something else", write("no root"), /does not hold the root certificate/],
  ["enrolment.json", "is cut short", cut, /does not hold the record of an enrolment/],
  ["enrolment.json", "says too little", write("{}"), /does not hold the record of an enrolment/],
  ["key.pem", "is missing", rmSync, /is missing\. Put it back/],
  ["root.pem", "is missing", rmSync, /is missing\. Put it back/],
])("%s that %s is named, with what to do", (file, _, damage, why) => {
  const dir = damaged(file, damage);
  const said = whyOf(dir);
  expect(said).toContain(file);
  expect(said).toMatch(why);
  expect(said).toContain(`countersign enroll --force --out ${dir}`);
  expect(said).not.toMatch(/routines|JSON at|undefined|ENOENT/);
});

test("the command line says the same, and what it says to do makes the folder whole", async () => {
  const dir = damaged("key.pem", cut);
  for (const command of ["status", "renew"]) {
    const { code, err } = await runCountersign([command, "--dir", dir]);
    expect(code).not.toBe(0);
    expect(err).toContain(`${join(dir, "key.pem")} is damaged`);
    expect(err).toContain("enroll --force");
  }
  const token = await authority.mint({ profile: "peer", cn: "web" });
  const enrolled = await runCountersign(["enroll", "--force", "--out", dir, "--token", token]);
  expect([enrolled.code, enrolled.err]).toEqual([0, ""]);
  expect(whyOf(dir)).toBe("it was read");
});

test.skipIf(process.getuid?.() === 0)("a file that this user may not read is named", () => {
  const dir = damaged("key.pem", (path) => chmodSync(path, 0));
  expect(whyOf(dir)).toMatch(/key\.pem cannot be read \(EACCES\)\. Make it readable/);
});
