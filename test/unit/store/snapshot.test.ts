import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { seed, seededCertificate } from "../../../bench/seed.ts";
import { openStore } from "../../../src/store/open.ts";
import { restoreSnapshot, takeSnapshot, verifySnapshot } from "../../../src/store/snapshot.ts";
import { type NewIssuance, type Store, StoreUnavailable } from "../../../src/store/store.ts";
import { withDatabases } from "../../helpers/databases.ts";
import { auditEntry } from "../../helpers/revocations.ts";

const now = new Date("2030-01-01T00:00:00Z");
const COUNT = 2500;
const databases = withDatabases("snapshot");

async function all(store: Store) {
  const rows = [];
  for await (const page of store.streamCertificates({ now })) rows.push(...page);
  const ders = await store.readDer(rows.map((row) => row.id));
  return rows.map((row) => ({
    ...row,
    subjectDer: Buffer.from(row.subjectDer).toString("hex"),
    der: Buffer.from(ders.get(row.id) ?? []).toString("hex"),
  }));
}

const audit = auditEntry(now, "issue", { requestId: "r", serial: "ff01", detail: { über: 1 } });

describe.each([
  ["sqlite", "sqlite"],
  ["sqlite", "postgres"],
  ["postgres", "sqlite"],
  ["postgres", "postgres"],
] as const)("a snapshot of %s in %s", (from, to) => {
  test("has every row as it was, goes on after the last, and leaps with its numbers", async () => {
    const name = `${from}_${to}`;
    const source = await databases.at(from, `${name}_from`);
    await (await openStore(source, { exclusive: false })).close();
    await seed(source, COUNT, now.getTime());
    const original = await openStore(source, { exclusive: false });
    const { certificate } = seededCertificate(1, COUNT, now.getTime());
    const issuance: NewIssuance = {
      certificate: {
        ...certificate,
        serial: "ff01",
        sha256: "ff".repeat(32),
        subject: "CN=Übermut",
      },
      der: Buffer.of(1, 2, 3),
      audit,
      spends: [{ kind: "token", id: "t", uses: 1, binding: "b", expiresAt: now }],
    };
    await original.recordIssuance(issuance);
    await original.nextNumber("crl:x", 7);
    await original.putFact("kept", "ä");
    const file = join(databases.folder, `${name}.snapshot`);
    await takeSnapshot(source, file);
    await original.recordIssuance({
      ...issuance,
      certificate: { ...issuance.certificate, serial: "ff02" },
      spends: [],
    });
    await verifySnapshot(file);
    const bytes = readFileSync(file);

    const target = await databases.at(to, `${name}_to`);
    const hour = 3_600_000;
    await restoreSnapshot(file, target, { takenAt: now, now: new Date(now.getTime() + hour) });
    expect(readFileSync(file).equals(bytes)).toBe(true);
    const restored = await openStore(target, { exclusive: false });
    expect(await all(restored)).toEqual(
      (await all(original)).filter((row) => row.serial !== "ff02"),
    );
    expect((await restored.findSpent("token", "t", "b")).certificate?.serial).toBe("ff01");
    expect(await restored.getFact("kept")).toBe("ä");
    expect((await restored.searchAudit({ requestId: "r" })).items).toMatchObject([audit]);
    const { items } = await restored.searchCertificates({ subject: "übermut", now });
    expect(items.map((row) => row.serial)).toEqual(["ff01"]);
    // One a millisecond could have been drawn since.
    expect(await restored.nextNumber("crl:x")).toBe(7 + hour + 1);
    const next = await restored.recordIssuance({
      ...issuance,
      certificate: { ...issuance.certificate, serial: "ff03" },
      spends: [],
    });
    expect(next).toMatchObject({ result: "recorded", certificate: { id: COUNT + 2 } });
    await restored.close();
    await original.close();
    if (to === "postgres") {
      await expect(restoreSnapshot(file, target, { takenAt: now, now })).rejects.toBeInstanceOf(
        StoreUnavailable,
      );
    }
  });
});

test("a snapshot of a PostgreSQL that lacks a table fails in one sentence, and at once", async () => {
  const url = await databases.postgres.database("lacking");
  await (await openStore(url, { exclusive: false })).close();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("alter table credentials rename to gone");
  await client.end();
  await expect(
    takeSnapshot(url, join(databases.folder, "lacking.snapshot")),
  ).rejects.toBeInstanceOf(StoreUnavailable);
});
