import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { enroll } from "../../../../src/client/enroll.ts";
import { loadIdentity } from "../../../../src/client/identity/identity.ts";
import { renew } from "../../../../src/client/renewal/renew.ts";
import { startAuthority } from "../../../helpers/authority.ts";
import { identityFolder, opensslAccepts } from "../../../helpers/identity-folder.ts";
import { useAuthority } from "../../../helpers/use-authority.ts";

const authority = useAuthority();

const terms = { profile: "peer", cn: "web", sans: ["dns:web.example.test"] };
const enrolled = async (more: { validity?: string } = {}) => {
  const dir = identityFolder();
  await enroll({ dir, token: await authority.mint(terms), ...more });
  return dir;
};
const filesOf = (dir: string) =>
  ["key", "certificate", "chain", "fullchain", "root"].map((name) =>
    readFileSync(join(dir, `${name}.pem`), "utf8"),
  );

describe("the renewal", () => {
  test("of a fresh certificate is not due, and says when it will be", async () => {
    const dir = await enrolled();
    const result = await renew({ dir });
    expect(result.outcome).toBe("not-due");
    if (result.outcome !== "not-due") return;
    const { notBefore, notAfter } = result.identity.certificate;
    const part = (result.due.getTime() - +notBefore) / (+notAfter - +notBefore);
    expect(part).toBeGreaterThan(0.6);
    expect(part).toBeLessThan(0.95);
  });

  test("with force keeps the key and gives a new certificate of the same lineage", async () => {
    const dir = await enrolled();
    const before = loadIdentity(dir);
    const result = await renew({ dir, force: true });
    expect(result.outcome).toBe("renewed");
    opensslAccepts(dir);
    const after = loadIdentity(dir);
    expect(after?.certificate.serial).not.toBe(before?.certificate.serial);
    expect(after?.certificate.spkiSha256).toBe(before?.certificate.spkiSha256);
    expect(after?.record).toMatchObject({ via: "renewal", url: authority.url });
  });

  test("with rekey changes key and certificate together", async () => {
    const dir = await enrolled();
    const before = loadIdentity(dir);
    await renew({ dir, force: true, rekey: true });
    opensslAccepts(dir);
    expect(loadIdentity(dir)?.certificate.spkiSha256).not.toBe(before?.certificate.spkiSha256);
    expect(loadIdentity(dir)?.certificate.subjectAltNames).toEqual(
      before?.certificate.subjectAltNames,
    );
  });

  test("keeps a common name that looks like a host and is no alternative name", async () => {
    const dir = identityFolder();
    const token = await authority.mint({ ...terms, cn: "shop.internal" });
    await enroll({ dir, token });
    expect((await renew({ dir, force: true })).outcome).toBe("renewed");
  });

  test("is due when the clock says so", async () => {
    const dir = await enrolled({ validity: "1h" });
    const in50Minutes = () => new Date(Date.now() + 55 * 60_000);
    expect((await renew({ dir, now: in50Minutes })).outcome).toBe("renewed");
  });

  test("twice with one idempotency key gives one certificate", async () => {
    const dir = await enrolled();
    const held = readFileSync(join(dir, "current/enrolment.json"), "utf8");
    expect(held).toContain("obtainedAt");
    const copy = await enrolledCopy(dir);
    const first = await renew({ dir, force: true, idempotencyKey: "one" });
    const second = await renew({ dir: copy, force: true, idempotencyKey: "one" });
    expect(second.identity.certificate.serial).toBe(first.identity.certificate.serial);
  });

  test("that fails leaves every file as it was", async () => {
    const own = await startAuthority();
    onTestFinished(() => own.stop());
    const dir = identityFolder();
    await enroll({ dir, token: await own.mint(terms) });
    const before = filesOf(dir);
    await own.service.stop();
    await expect(renew({ dir, force: true })).rejects.toMatchObject({ code: "unreachable" });
    expect(filesOf(dir)).toEqual(before);
    await own.restart().catch(() => undefined);
    expect((await renew({ dir, force: true })).outcome).toBe("renewed");
  });
});

describe("a new enrolment", () => {
  test("replaces a revoked certificate when a token source is configured", async () => {
    const dir = await enrolled();
    const serial = loadIdentity(dir)?.certificate.serial;
    const revoked = await authority.call("POST", `/v1/certificates/${serial}/revoke`, {
      as: authority.operator,
      body: { reason: "superseded" },
    });
    expect(revoked.status).toBe(200);
    await expect(renew({ dir, force: true })).rejects.toMatchObject({ code: "no-credential" });
    const token = await authority.mint(terms);
    expect((await renew({ dir, force: true, token })).outcome).toBe("enrolled");
    opensslAccepts(dir);
  });

  test("replaces an expired one with the recorded token file, read again", async () => {
    const dir = identityFolder();
    const file = `${dir}.token`;
    writeFileSync(file, `${await authority.mint(terms)}\n`);
    await enroll({ dir, token: { file }, validity: "2s" });
    writeFileSync(file, await authority.mint(terms));
    await expect
      .poll(() => loadIdentity(dir)?.certificate.notAfter ?? 0, { timeout: 5000, interval: 200 })
      .toSatisfy((notAfter) => (notAfter as Date) < new Date(Date.now() - 500));
    expect((await renew({ dir })).outcome).toBe("enrolled");
    expect(readFileSync(join(dir, "current/enrolment.json"), "utf8")).toContain(file);
  });

  test("makes an identity that is gone, from URL and token", async () => {
    const dir = identityFolder();
    await expect(renew({ dir })).rejects.toMatchObject({ code: "no-credential" });
    const token = await authority.mint(terms);
    expect((await renew({ dir, token, url: authority.url })).outcome).toBe("enrolled");
    expect(existsSync(join(dir, "key.pem"))).toBe(true);
  });
});

/** The same identity in another folder, as a second process would see it. */
async function enrolledCopy(dir: string): Promise<string> {
  const copy = identityFolder();
  const identity = loadIdentity(dir);
  if (identity === undefined) throw new Error("no identity to copy");
  const { saveIdentity } = await import("../../../../src/client/identity/identity.ts");
  saveIdentity(copy, identity);
  return copy;
}
