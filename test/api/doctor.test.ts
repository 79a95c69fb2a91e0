import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { beforeAll, describe, expect, test } from "vitest";
import { countersign } from "../helpers/openssl-ca.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let serial: string;
let held: string;
const authority = useAuthority();
beforeAll(async () => {
  ({ serial } = await authority.enrol({ cn: "web" }));
  ({ serial: held } = await authority.enrol({ cn: "held" }));
  const path = `/v1/certificates/${held}/revoke`;
  const body = { reason: "certificateHold" };
  await authority.call("POST", path, { as: authority.operator, body });
});

const doctor = (...args: string[]) => countersign("doctor", "--data", authority.folder, ...args);

/** Runs with a change of the database, and takes it back. */
async function withChange<T>(change: string, undo: string, work: () => Promise<T>): Promise<T> {
  const db = new Database(join(authority.folder, "countersign.db"), { timeout: 5000 });
  try {
    db.exec(change);
    return await work();
  } finally {
    db.exec(undo);
    db.close();
  }
}

const idOf = (of: string) => `(select id from certificates where serial = '${of}')`;

describe("countersign doctor", () => {
  test("says that all is well beside the running service, and ends with 0", async () => {
    const { status, said } = await doctor();
    expect(said).toMatch(
      /^configuration\s+ok\nkeys\s+ok\nissuer\s+ok\nstore\s+ok\nroot CRL\s+ok$/m,
    );
    expect(said).toMatch(/(\d+) of \1 certificates verify to the issuer; nothing is wrong/);
    expect(status).toBe(0);
    const json = JSON.parse((await doctor("--json")).said);
    expect(json).toMatchObject({ certificates: 5, unverified: 0, findings: [] });
  });

  test.each<[string, () => [change: string, undo: string], RegExp]>([
    [
      "a row that says another name",
      () => [
        `update certificates set subject_alt_names = '["dns:evil.example.test"]' where serial = '${serial}'`,
        `update certificates set subject_alt_names = '[]' where serial = '${serial}'`,
      ],
      /its bytes and its row differ in subjectAltName/,
    ],
    [
      "bytes that are gone",
      () => [
        `update certificate_der set certificate_id = -certificate_id where certificate_id = ${idOf(serial)}`,
        "update certificate_der set certificate_id = -certificate_id where certificate_id < 0",
      ],
      /certificates without their bytes[\s\S]*its bytes are missing/,
    ],
    [
      "a use of a token that is gone",
      () => [
        `update credentials set certificate_id = -certificate_id where certificate_id = ${idOf(serial)}`,
        "update credentials set certificate_id = -certificate_id where certificate_id < 0",
      ],
      /1 certificates by token without the token's use/,
    ],
    [
      "a revocation that CRLs do not know",
      () => [
        `update revocations set reason = 'keyCompromise' where certificate_id = ${idOf(held)}`,
        `update revocations set reason = 'certificateHold' where certificate_id = ${idOf(held)}`,
      ],
      /the history that CRLs are made of differs/,
    ],
    [
      "an audit that lost a line",
      () => [
        `update audit set certificate_id = -certificate_id where serial = '${serial}'`,
        `update audit set certificate_id = -certificate_id where certificate_id < 0`,
      ],
      /1 certificates without a line in the audit/,
    ],
  ])("finds %s, and ends with 1", async (_title, changes, finding) => {
    const [change, undo] = changes();
    const { status, said } = await withChange(change, undo, () => doctor());
    expect(said).toMatch(finding);
    expect(said).toMatch(/^store\s+\d+ found$/m);
    expect(status).toBe(1);
  });

  test("finds a root's list that ends or is gone; the log of the service says it too", async () => {
    const list = join(authority.folder, "root.crl");
    const whole = readFileSync(list);
    const publish = ["crl", "publish", "--root", "--data", authority.folder, "--validity", "1s"];
    expect((await countersign(...publish)).status).toBe(0);
    await expect
      .poll(async () => (await doctor()).said, { timeout: 15_000 })
      .toMatch(/root CRL\s+1 found\n {2}The root's CRL ended on .*`countersign crl publish --root/);
    expect((await doctor()).status).toBe(1);
    await authority.restart();
    await expect.poll(() => authority.logged()).toContain("The root's CRL ended on");
    rmSync(list);
    expect((await doctor()).said).toMatch(/root's CRL, and there is none in the data folder/);
    writeFileSync(list, whole);
    const moved = await doctor("--set", "publicHttpUrl=http://moved.example.test");
    expect(moved.said).toMatch(
      /root CRL\s+ok\n {2}the issuing certificate names http:\/\/localhost/,
    );
    expect(moved.status).toBe(0);
  });

  test("finds a key that others can read", async () => {
    const key = join(authority.folder, "token.key");
    chmodSync(key, 0o644);
    const { status, said } = await doctor();
    chmodSync(key, 0o600);
    expect(said).toMatch(/token\.key can be read by others: chmod 600/);
    expect(status).toBe(1);
  });
});
