/** S-45: nothing is dropped in silence: every notice is sent, and told to people. */

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { identityFolder } from "../helpers/identity-folder.ts";
import { until } from "../helpers/node-services.ts";
import { runCountersign, startCountersign } from "../helpers/processes.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const authority = useAuthority({
  config: (yaml) => {
    yaml["backdate"] = "0s";
    // Each renewal is cut short, and says so.
    const { peer } = yaml["profiles"];
    yaml["profiles"].peer = { ...peer, validity: "30d", renew: { maxLineageAge: "30d" } };
  },
});
const withCurl = testWith("curl");
const manySubject = `${testSubject}/L=Bengaluru/title=Dr/CN=web`;
const rules = ["subject.localityName", "subject.title", "subjectAltName"];

withCurl("curl sees one header line for each notice", async () => {
  const file = join(authority.folder, "many.csr");
  writeFileSync(file, makeCsr({ key: newKey(), subject: manySubject }));
  const token = await authority.mint({ profile: "client", cn: "web" });
  const { stdout } = await promisify(execFile)("curl", [
    ...["-sSi", "--cacert", join(authority.folder, "root.crt")],
    ...["-H", `Authorization: Bearer ${token}`, "--data-binary", `@${file}`],
    `${authority.url}/v1/certificates`,
  ]);
  const lines = stdout.split("\r\n").filter((line) => /^countersign-notice:/i.test(line));
  const fields = lines.map((line) => /: ([\w.]+) \(/.exec(line)?.[1]);
  expect(fields, stdout).toEqual(rules.slice(0, lines.length));
  expect(lines.length).toBeGreaterThanOrEqual(2);
});

test("the header says as much as the body, and leaves room for clients' own limits", async () => {
  const subject = `${testSubject}${"/L=Bengaluru".repeat(55)}/CN=web`;
  const answer = await authority.call("POST", "/v1/certificates", {
    token: await authority.mint({ profile: "client", cn: "web" }),
    body: { csr: makeCsr({ key: newKey(), subject }) },
  });
  expect(answer.status, answer.text).toBe(201);
  const all = answer.json.notices.length;
  const header = String(answer.headers["countersign-notice"]);
  const written = header.match(/subject\.localityName \(/g)?.length ?? 0;
  const more = Number(/(\d+) more: with Accept: application\/json/.exec(header)?.[1] ?? 0);
  expect([all > 50, written > 1, written + more]).toEqual([true, true, all]);
  expect(header.length).toBeLessThan(5000);
});

test("enroll, renew and the daemon tell each notice on a line of its own", async () => {
  const dir = identityFolder();
  const token = await authority.mint({ profile: "peer", cn: "web" });
  const enrolled = await runCountersign([
    ...["enroll", "--url", authority.url, "--root", join(authority.folder, "root.crt")],
    ...["--out", dir, "--token", token, "--subject", manySubject],
  ]);
  expect(enrolled.code, enrolled.err).toBe(0);
  expect(fieldsOf(enrolled.out)).toEqual(rules);
  const renewed = await runCountersign(["renew", "--dir", dir, "--force"]);
  expect(fieldsOf(renewed.out), renewed.out + renewed.err).toEqual(["notAfter", "subjectAltName"]);

  // Due within seconds, and renewed by the daemon.
  const brief = identityFolder();
  const again = await runCountersign([
    ...["enroll", "--url", authority.url, "--root", join(authority.folder, "root.crt")],
    ...["--out", brief, "--token", await authority.mint({ profile: "peer", cn: "web" })],
    ...["--validity", "6s"],
  ]);
  expect(again.code, again.err).toBe(0);
  const daemon = startCountersign(["renew", "--daemon", "--dir", brief]);
  await until(() => fieldsOf(daemon.text()).includes("subjectAltName"), 20, daemon.text);
  await daemon.stop();
});

/** Which fields the lines of notices name. */
function fieldsOf(text: string): string[] {
  return [...text.matchAll(/^(?:\S+Z )?Note: ([\w.]+) \(/gm)].map(([, field = ""]) => field);
}
