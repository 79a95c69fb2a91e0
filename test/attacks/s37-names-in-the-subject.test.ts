import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type Answer,
  type Holder,
  makeCsr,
  newKey,
  pemOf,
  testSubject,
} from "../helpers/authority.ts";
import { runCountersign } from "../helpers/processes.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const authority = useAuthority();

const ceo = "emailAddress=ceo@example.com";
const rules = ({ json }: Answer) =>
  (json.violations as { field: string; rule: string }[]).map(({ field, rule }) => [field, rule]);

interface Asked {
  readonly subject: string;
  readonly sans?: readonly string[];
}

async function enrol(token: string, { subject, sans = [] }: Asked) {
  const key = newKey();
  const csr = makeCsr({ key, subject: `${testSubject}${subject}`, sans });
  const answer = await authority.call("POST", "/v1/certificates", { token, body: { csr } });
  return { answer, holder: (): Holder => ({ cert: answer.json.certificate, key: pemOf(key) }) };
}

/** Restarts the authority with other e-mail patterns; the test puts the file back. */
async function allowEmail(patterns: string) {
  const file = join(authority.folder, "countersign.yaml");
  const before = readFileSync(file, "utf8");
  writeFileSync(file, before.replace("email: []", `email: [${patterns}]`));
  await authority.restart();
  return async () => {
    writeFileSync(file, before);
    await authority.restart();
  };
}

/** Whether openssl takes the certificate for one of this e-mail address. */
function verifiesAs(email: string, certificate: string, chain: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), "countersign-email-"));
  try {
    writeFileSync(join(folder, "leaf"), certificate);
    writeFileSync(join(folder, "chain"), chain);
    writeFileSync(join(folder, "root"), authority.root);
    const chained = ["-CAfile", "root", "-untrusted", "chain"];
    execFileSync("openssl", ["verify", ...chained, "-verify_email", email, "leaf"], {
      cwd: folder,
      stdio: "pipe",
    });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("an emailAddress in the subject is a name", () => {
  test("the first configuration allows none: token, operator and dry run are refused by the rule", async () => {
    const token = await authority.mint({ profile: "client", cn: "web" });
    const { answer } = await enrol(token, { subject: `/CN=web/${ceo}` });
    expect(answer.status).toBe(422);
    expect(rules(answer)).toEqual([
      ["subject.emailAddress", "subjectAltName.policy"],
      ["subject.emailAddress", "subjectAltName.grant"],
    ]);
    expect(answer.text).toContain("(subjectAltName.email)");
    const csr = makeCsr({ key: newKey(), subject: `${testSubject}/CN=web/${ceo}` });
    const as = authority.operator;
    const body = { csr, profile: "client" };
    const byOperator = await authority.call("POST", "/v1/certificates", { as, body });
    const dry = await authority.call("POST", "/v1/certificates/check", { as, body });
    expect(rules(byOperator)).toEqual([["subject.emailAddress", "subjectAltName.policy"]]);
    expect(rules(dry)).toEqual(rules(byOperator));
  });

  test("where the policy allows it, the token must entitle to it; every occurrence counts", async () => {
    const restore = await allowEmail('"@example.com"');
    onTestFinished(restore);
    const mint = () =>
      authority.mint({ profile: "client", cn: "web", sans: ["email:web@example.com"] });
    const own = "emailAddress=web@example.com";
    const other = await enrol(await mint(), { subject: `/CN=web/${own}/${ceo}` });
    expect(rules(other.answer)).toEqual([["subject.emailAddress", "subjectAltName.grant"]]);
    const noAddress = await enrol(await mint(), { subject: "/CN=web/emailAddress=ceo" });
    expect(rules(noAddress.answer)).toEqual([["subject.emailAddress", "subject.emailAddress"]]);
    const { answer } = await enrol(await mint(), { subject: `/CN=web/${own}` });
    expect(answer.status, answer.text).toBe(201);
    const { certificate, chain } = answer.json;
    const certificates = [chain].flat().join("");
    expect(verifiesAs("web@example.com", certificate, certificates)).toBe(true);
    expect(verifiesAs("ceo@example.com", certificate, certificates)).toBe(false);
  });

  test("a renewal keeps it only while the policy allows it", async () => {
    const restore = await allowEmail('"@example.com"');
    const sans = ["email:web@example.com"];
    const token = await authority.mint({ profile: "client", cn: "web", sans });
    const subject = "/CN=web/emailAddress=web@example.com";
    const { answer, holder } = await enrol(token, { subject });
    expect(answer.status, answer.text).toBe(201);
    const as = holder();
    expect((await authority.call("POST", "/v1/certificates/renew", { as })).status).toBe(201);
    await restore();
    const refused = await authority.call("POST", "/v1/certificates/renew", { as });
    expect(rules(refused)).toEqual([["subject.emailAddress", "subjectAltName.policy"]]);
  });
});

describe("a token may fix attributes of the subject", () => {
  test("what the request leaves out is filled in, what differs or is added is refused", async () => {
    const mint = () => authority.mint({ profile: "client", cn: "web", subject: "OU=team-a" });
    expect(decodeJwt(await mint())["subject"]).toEqual({ organizationalUnitName: ["team-a"] });
    for (const subject of ["/CN=web", "/OU=team-a/CN=web"]) {
      const { answer } = await enrol(await mint(), { subject });
      expect(answer.status, answer.text).toBe(201);
      expect(answer.json.subject).toBe("C=IN, ST=Karnataka, O=Example, OU=team-a, CN=web");
    }
    for (const subject of [
      "/OU=admins/CN=web",
      "/OU=team-a/OU=admins/CN=web",
      "/OU=Team-A/CN=web",
    ]) {
      const { answer } = await enrol(await mint(), { subject });
      expect(rules(answer)).toEqual([["subject.organizationalUnitName", "grant.subject"]]);
    }
  });

  test("its renewals keep them", async () => {
    const token = await authority.mint({ profile: "client", cn: "web", subject: "OU=team-a" });
    const { holder } = await enrol(token, { subject: "/CN=web" });
    const csr = makeCsr({ key: newKey(), subject: `${testSubject}/OU=admins/CN=web` });
    const call = (body: object) =>
      authority.call("POST", "/v1/certificates/renew", { as: holder(), body });
    expect(rules(await call({ csr }))).toEqual([["subject", "renew.subject"]]);
    expect((await call({})).json.subject).toContain("OU=team-a");
  });

  test("countersign token --subject mints the same", async () => {
    const flags = ["token", "--data", authority.folder, "--profile", "client", "--cn", "web"];
    const { out, err } = await runCountersign([...flags, "--subject", "/OU=team-a/OU=night"]);
    const { answer } = await enrol(out.trim(), { subject: "/CN=web" });
    expect(answer.status, `${err}${answer.text}`).toBe(201);
    expect(answer.json.subject).toContain("OU=team-a, OU=night, CN=web");
    const refused = await runCountersign([...flags, "--subject", "title=boss"]);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("carry no title");
  });

  test.each([
    ["CN=web", "token.subject"],
    ["title=boss", "token.subject"],
    ["team-a", "format"],
  ])("is not minted with a subject of %s", async (subject, rule) => {
    const answer = await authority.call("POST", "/v1/tokens", {
      as: authority.operator,
      body: { profile: "client", cn: "web", subject },
    });
    expect(answer.json.violations).toMatchObject([{ rule }]);
  });

  test("an address that the token fixes is within its ceiling, and still under the policy", async () => {
    const fixed = { profile: "client", cn: "web", subject: ceo };
    const { answer } = await enrol(await authority.mint(fixed), { subject: "/CN=web" });
    expect(rules(answer)).toEqual([["subject.emailAddress", "subjectAltName.policy"]]);
    const restore = await allowEmail('"@example.com"');
    onTestFinished(restore);
    const allowed = await enrol(await authority.mint(fixed), { subject: "/CN=web" });
    expect(allowed.answer.status, allowed.answer.text).toBe(201);
    expect(allowed.answer.json.subject).toContain("ceo@example.com");
  });
});
