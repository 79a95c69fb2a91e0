import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openStore } from "../../../src/store/open.ts";
import { openPool } from "../../../src/store/postgres/open.ts";
import {
  type NewIssuance,
  type SpentCredential,
  type Store,
  type StoredCertificate,
  StoreUnavailable,
} from "../../../src/store/store.ts";
import { withDatabases } from "../../helpers/databases.ts";
import { auditEntry } from "../../helpers/revocations.ts";

const now = new Date("2030-01-01T00:00:00Z");
const day = 86_400_000;
const databases = withDatabases("store");

const audit = auditEntry(now, "issue", { requestId: "r1", detail: { a: 1 } });

function issuance(name: string, spends: SpentCredential[] = [], days = 30): NewIssuance {
  const serial = randomBytes(16).toString("hex");
  return {
    certificate: {
      issuerId: "issuer",
      serial,
      sha256: createHash("sha256").update(serial).digest("hex"),
      spkiSha256: "ab".repeat(32),
      profile: "server",
      subject: `CN=${name}`,
      subjectDer: Buffer.from(name),
      commonName: name,
      subjectAltNames: [`dns:${name}`],
      extendedKeyUsage: ["1.3.6.1.5.5.7.3.1"],
      keyType: "ec-p256",
      notBefore: now,
      notAfter: new Date(now.getTime() + days * day),
      issuedAt: now,
      renewAfter: now,
      requestedBy: "test",
      via: "token",
      lineage: serial,
      lineageStartedAt: now,
      replaces: undefined,
    },
    der: Buffer.from(serial),
    audit: { ...audit, serial },
    spends,
  };
}

function token(id: string, binding: string, uses = 1): SpentCredential {
  return { kind: "token", id, uses, binding, expiresAt: new Date(now.getTime() + day) };
}

describe.each(["sqlite", "postgres"] as const)("the store on %s", (engine) => {
  let store: Store;
  beforeAll(async () => {
    const url = await databases.at(engine, "a");
    store = await openStore(url, { exclusive: false });
  });
  afterAll(() => store?.close());

  test("gives back a certificate as it was recorded, with its bytes", async () => {
    const wanted = issuance("back.example.test");
    const { certificate, der } = wanted;
    const result = await store.recordIssuance(wanted);
    expect(result.result).toBe("recorded");
    const found = await store.findCertificate("issuer", certificate.serial);
    expect(found).toMatchObject({ ...certificate, revocation: undefined });
    expect(typeof found?.id).toBe("number");
    expect(Buffer.from((await store.readDer([found?.id ?? 0])).get(found?.id ?? 0) ?? [])).toEqual(
      der,
    );
    expect((await store.findPresented(certificate.serial, certificate.sha256 ?? ""))?.id).toBe(
      found?.id,
    );
    expect((await store.findByKey("ab".repeat(32), 1)).length).toBe(1);
  });

  test("a token of one use gives the same certificate again, and nothing to another key", async () => {
    const first = await store.recordIssuance(issuance("t.example.test", [token("t1", "key-1")]));
    const again = await store.recordIssuance(issuance("t.example.test", [token("t1", "key-1")]));
    const other = await store.recordIssuance(issuance("t.example.test", [token("t1", "key-2")]));
    expect([first.result, again.result, other.result]).toEqual(["recorded", "replayed", "spent"]);
    if (first.result === "recorded" && again.result === "replayed")
      expect(again.certificate.serial).toBe(first.certificate.serial);
    expect((await store.findSpent("token", "t1", "key-1")).uses).toBe(1);
  });

  test("one item that fails does not fail its neighbours, and order is kept", async () => {
    const good = issuance("one.example.test");
    const last = issuance("two.example.test");
    const results = await Promise.allSettled(
      [good, good, last].map((x) => store.recordIssuance(x)),
    );
    expect(results.map((one) => one.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    const ids = await Promise.all(
      [good, last].map((x) => store.findCertificate("issuer", x.certificate.serial)),
    );
    expect(ids[0]?.id).toBeLessThan(ids[1]?.id ?? 0);
  });

  test("holds, releases and revokes, each change an event in order", async () => {
    const { certificate } = await recorded(store, "hold.example.test");
    const change = (reason?: "certificateHold" | "keyCompromise") =>
      store.revoke("issuer", certificate.serial, { at: now, reason, by: "op" }, audit);
    expect((await change("certificateHold")).result).toBe("revoked");
    expect((await change()).result).toBe("released");
    expect((await change()).result).toBe("conflict");
    expect((await change("keyCompromise")).result).toBe("revoked");
    expect((await change("keyCompromise")).result).toBe("unchanged");
    const events = await store.revocationEvents("issuer", 0, 100);
    expect(events.map((one) => one.reason)).toEqual([
      "certificateHold",
      undefined,
      "keyCompromise",
    ]);
  });

  test("draws each number once and never goes back", async () => {
    const numbers = await Promise.all(Array.from({ length: 20 }, () => store.nextNumber("crl:x")));
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(await store.nextNumber("crl:x", 100)).toBe(100);
    expect(await store.nextNumber("crl:x", 5)).toBe(101);
  });

  test("pages stay right while rows are added, and filters find what they name", async () => {
    for (let i = 0; i < 5; i++) await recorded(store, `p${i}.page.example.test`);
    const query = { subject: "PAGE.example", now, limit: 2 };
    const first = await store.searchCertificates(query);
    await recorded(store, "new.page.example.test");
    const second = await store.searchCertificates({ ...query, cursor: first.next ?? "" });
    expect([...first.items, ...second.items].map((one) => one.commonName?.[1])).toEqual([
      "4",
      "3",
      "2",
      "1",
    ]);
    const find = async (filter: object) =>
      (await store.searchCertificates({ ...filter, now })).items.length;
    expect(await find({ san: "p1.page.example.test" })).toBe(1);
    expect(await find({ san: "dns:p1.page.example.test" })).toBe(1);
    expect(await find({ san: ".page.example.test" })).toBe(6);
    expect(await find({ status: "revoked" })).toBe(1);
    expect(await find({ status: "expired" })).toBe(0);
    const expiring = await store.searchCertificates({ now, order: "expires", limit: 3 });
    expect(
      (await store.searchCertificates({ now, order: "expires", cursor: expiring.next ?? "" })).items
        .length,
    ).toBeGreaterThan(3);
  });

  test("records nothing on the strength of a certificate that was revoked or put on hold", async () => {
    const issued = (name: string, spends: SpentCredential[] = []): NewIssuance => {
      const made = issuance(name, spends);
      return { ...made, certificate: { ...made.certificate, issuerId: "standing" } };
    };
    for (const reason of ["keyCompromise", "certificateHold"] as const) {
      const held = await store.recordIssuance(issued("held.example.test"));
      if (held.result !== "recorded") throw new Error(held.result);
      const { id, serial } = held.certificate;
      const standing = { certificateId: id };
      const target = issued("target.example.test");
      await store.recordIssuance(target);
      const change = { at: now, reason, by: "test" };

      const good = await store.recordIssuance({ ...issued("good.example.test"), standing });
      expect(good.result).toBe("recorded");
      await store.revoke("standing", serial, change, audit);
      const late = issued("late.example.test", [token(`late-${reason}`, "key")]);
      expect(await store.recordIssuance({ ...late, standing })).toEqual({ result: "not-standing" });
      expect(await store.findCertificate("standing", late.certificate.serial)).toBeUndefined();
      expect((await store.findSpent("token", `late-${reason}`, "key")).uses).toBe(0);
      const other = target.certificate.serial;
      expect(await store.revoke("standing", other, change, audit, standing)).toEqual({
        result: "not-standing",
      });
      expect((await store.findCertificate("standing", other))?.revocation).toBeUndefined();
    }
    const unknown = { ...issued("unknown.example.test"), standing: { certificateId: 999_999 } };
    expect(await store.recordIssuance(unknown)).toEqual({ result: "not-standing" });
  });

  test("ends a lineage in one step, bars what is left of it, and leaves other branches alone", async () => {
    const record = async (name: string, replaces?: StoredCertificate) => {
      const made = issuance(name);
      const certificate = {
        ...made.certificate,
        issuerId: "lineage",
        ...(replaces && { lineage: replaces.lineage, replaces: replaces.serial }),
      };
      const result = await store.recordIssuance({ ...made, certificate });
      if (result.result !== "recorded") throw new Error(result.result);
      return result.certificate;
    };
    const first = await record("first.example.test");
    const [second, sibling] = [
      await record("second.example.test", first),
      await record("sibling.example.test", first),
    ];
    const third = await record("third.example.test", second);
    const change = { at: now, reason: "keyCompromise", by: "test" } as const;
    const bars = () =>
      Promise.all([first, second, sibling, third].map(({ id }) => store.findRenewalBar(id)));

    // Without the lineage: what comes of it lives, but renews no more.
    const alone = await store.revoke(
      "lineage",
      second.serial,
      { ...change, renewals: "barred" },
      audit,
    );
    expect(alone).toMatchObject({ result: "revoked", descendants: [] });
    expect(await bars()).toEqual([undefined, undefined, undefined, second.serial]);
    const renewal = issuance("fourth.example.test");
    const standing = { certificateId: third.id, renews: true };
    expect(await store.recordIssuance({ ...renewal, standing })).toEqual({
      result: "barred",
      by: second.serial,
    });
    expect(
      await store.findCertificate(renewal.certificate.issuerId, renewal.certificate.serial),
    ).toBeUndefined();
    const lift = { ...change, renewals: "allowed" } as const;
    expect((await store.revoke("lineage", second.serial, lift, audit)).result).toBe("unchanged");
    expect(await bars()).toEqual([undefined, undefined, undefined, undefined]);

    // With it, also where the certificate itself was ended for another reason before.
    const before = await store.searchAudit({ serial: third.serial });
    const whole = { ...change, reason: "superseded", lineage: true } as const;
    expect(await store.revoke("lineage", second.serial, whole, audit)).toMatchObject({
      result: "unchanged",
      descendants: [third.serial],
    });
    const standings = await Promise.all(
      [first, sibling, third].map(({ serial }) => store.findCertificate("lineage", serial)),
    );
    expect(standings.map((one) => one?.revocation?.reason)).toEqual([
      undefined,
      undefined,
      "superseded",
    ]);
    const after = await store.searchAudit({ serial: third.serial });
    expect(after.items.length).toBe(before.items.length + 1);
    expect(after.items[0]?.detail).toMatchObject({ lineageOf: second.serial });
  });

  test("keeps facts and audit lines", async () => {
    await store.putFact("f", "1");
    await store.putFact("f", "2");
    expect(await store.getFact("f")).toBe("2");
    await store.putFact("f%:b", "3");
    await store.putFact("f%:a", "4");
    await store.putFact("F%:c", "5");
    expect(await store.findFacts("f%:")).toEqual(
      new Map([
        ["f%:a", "4"],
        ["f%:b", "3"],
      ]),
    );
    expect((await store.findFacts("absent")).size).toBe(0);
    await store.recordAudit({ ...audit, requestId: "mine" });
    const { items } = await store.searchAudit({ requestId: "mine" });
    expect(items).toMatchObject([{ detail: { a: 1 }, at: now }]);
    await store.probe();
  });
});

describe("two nodes on one PostgreSQL", () => {
  test("a token raced for by both is used once, and a sequence has one source", async () => {
    const url = await databases.postgres.database("two");
    const nodes = await Promise.all([1, 2].map(() => openStore(url, { exclusive: true })));
    for (let round = 0; round < 15; round++) {
      const results = await Promise.all(
        [...nodes, ...nodes].map((node, i) =>
          node.recordIssuance(issuance("r.example.test", [token(`t${round}`, `key-${i}`)])),
        ),
      );
      expect(results.filter((one) => one.result === "recorded")).toHaveLength(1);
    }
    const numbers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => nodes[i % 2]?.nextNumber("crl:x")),
    );
    expect(new Set(numbers).size).toBe(40);
    await Promise.all(nodes.map((node) => node.close()));
  });

  test("an issuance waits for a revocation that another node is committing, and sees it", async () => {
    const url = await databases.postgres.database("racing");
    const store = await openStore(url, { exclusive: true });
    const held = await store.recordIssuance(issuance("racing.example.test"));
    if (held.result !== "recorded") throw new Error(held.result);
    const other = openPool(url);
    const client = await other.connect();
    // What another node does in `revoke`, stopped before its commit.
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock(hashtextextended('revocations', 0))");
    await client.query("insert into revocations values ($1, 0, 'keyCompromise', 'test')", [
      held.certificate.id,
    ]);
    const standing = { certificateId: held.certificate.id };
    const late = store.recordIssuance({ ...issuance("late.example.test"), standing });
    const waiting = () =>
      other.query("select 1 from pg_locks where locktype = 'advisory' and not granted");
    await expect.poll(async () => (await waiting()).rowCount, { timeout: 20_000 }).toBe(1);
    await client.query("commit");
    expect(await late).toEqual({ result: "not-standing" });
    client.release();
    await other.end();
    await store.close();
  });

  test("a database that goes away is said to be unavailable, and is used again when it is back", async () => {
    const store = await openStore(await databases.postgres.database("gone"), { exclusive: true });
    await databases.postgres.stop();
    await expect(store.recordIssuance(issuance("g.example.test"))).rejects.toBeInstanceOf(
      StoreUnavailable,
    );
    await expect(store.findCertificate("issuer", "00")).rejects.toBeInstanceOf(StoreUnavailable);
    await databases.postgres.start();
    expect((await store.recordIssuance(issuance("g.example.test"))).result).toBe("recorded");
    await store.close();
  });
});

test("a connection that PostgreSQL ends between two statements fails the next one, not the process", async () => {
  const url = await databases.postgres.database("between");
  const pool = openPool(url);
  const client = await pool.connect();
  await client.query("begin");
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const ended = new Promise((resolve) => client.once("end", resolve));
  await pool.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
  await ended;
  await expect(client.query("commit")).rejects.toThrow(/connection/i);
  client.release(true);
  await pool.end();
});

async function recorded(store: Store, name: string) {
  const wanted = issuance(name);
  await store.recordIssuance(wanted);
  return wanted;
}
