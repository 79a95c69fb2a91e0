import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordAddress } from "../../../../src/authority/crl/addresses.ts";
import { CrlPublisher } from "../../../../src/authority/crl/publisher.ts";
import { type CrlName, parseCrlName, partitionsFact } from "../../../../src/authority/crl/scope.ts";
import { assembleIssuer } from "../../../../src/authority/issuers.ts";
import { type CrlSigner, crlSigner } from "../../../../src/authority/signer/crl-signer.ts";
import { keySigner } from "../../../../src/authority/signer/key-file.ts";
import { openStore } from "../../../../src/store/open.ts";
import type { Store } from "../../../../src/store/store.ts";
import { parseCrl, verifyCrlSignedBy } from "../../../../src/x509/crl/read.ts";
import { startPostgres, type TestPostgres } from "../../../helpers/postgres.ts";
import { recordCertificate, recordRevoked, setRevoked } from "../../../helpers/revocations.ts";
import { newRoot, now } from "../../../helpers/x509-chain.ts";

const hour = 3600_000;
const origin = "http://ca.example.test";
const root = newRoot();
const wide = keySigner(root.key);
const issuer = assembleIssuer([], root.certificate, wide, now);
const signer = crlSigner(wide);
const folder = mkdtempSync(join(tmpdir(), "countersign-crl-"));
let postgres: TestPostgres;
let databases = 0;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A publisher whose clock stands at `clock.at`. */
function publisherOn(store: Store, clock: { at: Date }, signedBy = signer): CrlPublisher {
  return new CrlPublisher({ ...optionsOf(store, clock), signer: signedBy });
}

function optionsOf(store: Store, clock: { at: Date }) {
  return {
    issuer,
    signer,
    store,
    validitySeconds: 24 * 3600,
    deltaValiditySeconds: 3600,
    origin,
    clock: () => clock.at,
  };
}

function nameOf(text: string): CrlName {
  const name = parseCrlName(text);
  if (name === undefined) throw new Error(text);
  return name;
}

async function listOf(publisher: CrlPublisher, text?: string) {
  const list = text === undefined ? await publisher.current() : await publisher.find(nameOf(text));
  if (list === undefined) throw new Error(`no list ${text}`);
  const parsed = parseCrl(list.der);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  expect(verifyCrlSignedBy(parsed.value, issuer.publicKey)).toBe(true);
  expect(parsed.value.crlNumber).toBe(BigInt(list.number));
  const reasons = new Map(parsed.value.entries.map((one) => [one.serial, one.reason ?? "none"]));
  return { ...parsed.value, number: list.number, reasons };
}

describe.each(["sqlite", "postgres"] as const)("CRLs on %s", (engine) => {
  async function open() {
    const name = `crl${++databases}`;
    const url =
      engine === "sqlite" ? `sqlite:${join(folder, name)}` : await postgres.database(name);
    const store = await openStore(url, { exclusive: false });
    const clock = { at: now };
    const certificate = (notAfter?: Date, serial?: string) =>
      recordCertificate(store, issuer.id, clock.at, notAfter, serial);
    const revoke = (serial: string, reason?: Parameters<typeof setRevoked>[4]) =>
      setRevoked(store, issuer.id, serial, clock.at, reason);
    return { url, store, clock, certificate, revoke, publisher: publisherOn(store, clock) };
  }

  test("a publisher that starts anew shows the same list, and never a lower number", async () => {
    const { store, clock, certificate, revoke, publisher } = await open();
    await revoke(await certificate(), "keyCompromise");
    const first = await listOf(publisher);
    const again = await listOf(publisherOn(store, clock));
    expect(again.number).toBe(first.number);
    expect(Buffer.from(again.der).equals(first.der)).toBe(true);
    clock.at = new Date(now.getTime() + 13 * hour);
    const later = await listOf(publisherOn(store, clock));
    expect(later.number).toBe(first.number + 1);
    // The old one sees it too, although another made it.
    expect((await listOf(publisher)).number).toBe(later.number);
    await store.close();
  });

  test("a list that names other addresses than the configuration does is replaced at once", async () => {
    const { store, clock, publisher } = await open();
    const first = await listOf(publisher);
    const begin = (change: { origin?: string; deltaValiditySeconds?: undefined }) =>
      new CrlPublisher({ ...optionsOf(store, clock), ...change });
    const moved = await listOf(begin({ origin: "http://moved.example.test" }));
    expect(moved.number).toBe(first.number + 1);
    expect(moved.freshestCrl[0]).toContain("http://moved.example.test/");
    const without = await listOf(begin({ deltaValiditySeconds: undefined }));
    expect([without.number, without.freshestCrl]).toEqual([first.number + 2, []]);
    // The list of all names no point, so that it covers what was issued under any address.
    const same = await listOf(begin({ deltaValiditySeconds: undefined, origin: "http://x.test" }));
    expect([same.number, same.issuingDistributionPoint]).toEqual([without.number, undefined]);
    expect(first.issuingDistributionPoint).toBeUndefined();
    await store.close();
  });

  test("a partition and its delta name every address on record, also one that another node adds", async () => {
    const { store, clock, publisher, certificate, revoke } = await open();
    await store.putFact(partitionsFact(issuer.id, 4), "used");
    await recordAddress(store, issuer.id, origin, clock.at);
    const points = async (name: string) =>
      (await listOf(publisher, name)).issuingDistributionPoint?.urls;
    const at = (...origins: string[]) => origins.map((one) => `${one}/crl/${issuer.id}/1of4.crl`);
    expect([await points("1of4"), await points("1of4-delta")]).toEqual([at(origin), at(origin)]);
    const first = await listOf(publisher, "1of4");
    const later = new Date(clock.at.getTime() + 1000);
    await recordAddress(store, issuer.id, "http://moved.example.test", later);
    const both = at("http://moved.example.test", origin);
    expect([await points("1of4"), await points("1of4-delta")]).toEqual([both, both]);
    // A process that starts anew, under the new address, has the same list: nothing was made again.
    const moved = { ...optionsOf(store, clock), origin: "http://moved.example.test" };
    const anew = await listOf(new CrlPublisher(moved), "1of4");
    expect([anew.number, anew.issuingDistributionPoint?.urls]).toEqual([
      (await listOf(publisher, "1of4")).number,
      both,
    ]);
    expect(anew.number).toBeGreaterThan(first.number);
    // The same address once more changes the order only.
    await recordAddress(store, issuer.id, origin, new Date(later.getTime() + 1000));
    expect(await points("1of4")).toEqual(at(origin, "http://moved.example.test"));
    await revoke(await certificate(undefined, "4100000000000004"), "keyCompromise");
    expect((await listOf(publisher, "1of4")).reasons.size).toBe(1);
    await store.close();
  });

  test("each partition has its own certificates, names itself, and stays when others change", async () => {
    const { store, certificate, revoke, publisher } = await open();
    expect(await publisher.find(nameOf("1of4"))).toBeUndefined();
    await store.putFact(partitionsFact(issuer.id, 4), "used");
    // The last octets decide: 4 → partition 1, 6 → partition 3.
    const [one, three] = [
      await certificate(undefined, "4100000000000004"),
      await certificate(undefined, "4100000000000006"),
    ];
    await revoke(one, "keyCompromise");
    const first = await listOf(publisher, "1of4");
    expect([...first.reasons.keys()]).toEqual([one]);
    expect(first.issuingDistributionPoint?.urls).toEqual([`${origin}/crl/${issuer.id}/1of4.crl`]);
    expect(first.freshestCrl).toEqual([`${origin}/crl/${issuer.id}/1of4-delta.crl`]);
    await revoke(three, "superseded");
    expect((await listOf(publisher, "1of4")).number).toBe(first.number);
    expect([...(await listOf(publisher, "3of4")).reasons.keys()]).toEqual([three]);
    expect((await listOf(publisher, "2of4")).entries).toEqual([]);
    const all = await listOf(publisher);
    expect([...all.reasons.keys()].sort()).toEqual([one, three].sort());
    expect(all.issuingDistributionPoint).toBeUndefined();
    // Another count later is made from the same history.
    await store.putFact(partitionsFact(issuer.id, 2), "used");
    expect((await listOf(publisher, "1of2")).reasons.size).toBe(2);
    await store.close();
  });

  test("a delta has what changed since the oldest fresh list: revoked, released, changed", async () => {
    const { store, clock, certificate, revoke, publisher } = await open();
    const serials = await Promise.all(Array.from({ length: 5 }, () => certificate()));
    const [old, held, fresh, brief, hardened] = serials as [string, string, string, string, string];
    await revoke(old, "keyCompromise");
    await revoke(held, "certificateHold");
    await revoke(hardened, "certificateHold");
    const base = await listOf(publisher);
    expect(base.baseCrlNumber).toBeUndefined();
    expect(base.freshestCrl).toEqual([`${origin}/crl/${issuer.id}/delta.crl`]);
    const empty = await listOf(publisher, "delta");
    expect([empty.baseCrlNumber, empty.reasons.size]).toEqual([BigInt(base.number), 0]);
    expect(empty.number).toBeGreaterThan(base.number);
    await revoke(held);
    await revoke(fresh, "superseded");
    await revoke(brief, "certificateHold");
    await revoke(brief);
    await revoke(hardened, "keyCompromise");
    const delta = await listOf(publisher, "delta");
    expect(Object.fromEntries(delta.reasons)).toEqual({
      [held]: "removeFromCRL",
      [fresh]: "superseded",
      [brief]: "removeFromCRL",
      [hardened]: "keyCompromise",
    });
    expect(delta.issuingDistributionPoint).toEqual(base.issuingDistributionPoint);
    expect(delta.freshestCrl).toEqual([]);
    expect(delta.baseCrlNumber).toBe(BigInt(base.number));
    expect(delta.number).toBeGreaterThan(empty.number);
    expect((delta.nextUpdate?.getTime() ?? 0) - delta.thisUpdate.getTime()).toBe(hour);
    // Numbers of both come from one sequence.
    const complete = await listOf(publisher);
    expect(complete.number).toBe(delta.number + 1);
    // A publisher that starts anew makes the same of it.
    const other = publisherOn(store, clock);
    expect((await listOf(other, "delta")).number).toBe(delta.number);
    await revoke(await certificate(), "superseded");
    expect((await listOf(other, "delta")).reasons.size).toBe(5);
    // The base moves when nobody can hold the old one any more.
    clock.at = new Date(now.getTime() + 23 * hour);
    const next = await listOf(publisher);
    clock.at = new Date(now.getTime() + 30 * hour);
    const moved = await listOf(publisher, "delta");
    expect([moved.baseCrlNumber, moved.reasons.size]).toEqual([BigInt(next.number), 0]);
    await store.close();
  });

  test("what expired stays on one more complete list, also when it was revoked after the last", async () => {
    const { store, clock, certificate, revoke, publisher } = await open();
    const [short, late] = [
      await certificate(new Date(now.getTime() + hour)),
      await certificate(new Date(now.getTime() + hour)),
    ];
    await revoke(short, "keyCompromise");
    const at = async (hours: number) => {
      clock.at = new Date(now.getTime() + hours * hour);
      return [...(await listOf(publisher)).reasons.keys()];
    };
    expect(await at(0)).toEqual([short]);
    expect(await at(13)).toEqual([short]);
    await revoke(late, "keyCompromise");
    expect(await at(14)).toEqual([late]);
    expect(await at(27)).toEqual([]);
    await store.close();
  });

  test("a publisher that signs slowly shows the list of the one that was faster", async () => {
    const { store, clock, certificate, revoke, publisher } = await open();
    await revoke(await certificate(), "superseded");
    let signing = () => {};
    let goOn = () => {};
    const isSigning = new Promise<void>((resolve) => {
      signing = resolve;
    });
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const sign: CrlSigner["sign"] = async (list) => {
      signing();
      await gate;
      return signer.sign(list);
    };
    const slow = publisherOn(store, clock, { ...signer, sign });
    const slowly = listOf(slow);
    await isSigning;
    const serial = await certificate();
    await revoke(serial, "superseded");
    const faster = await listOf(publisher);
    goOn();
    const shown = await slowly;
    expect(shown.number).toBe(faster.number);
    expect(shown.reasons.has(serial)).toBe(true);
    await store.close();
  });

  test("two publishers at once never show a number that goes back, nor lack an entry", {
    timeout: 30_000,
  }, async () => {
    const { url, store, clock, certificate, revoke, publisher } = await open();
    const otherStore = await openStore(url, { exclusive: false });
    const publishers = [publisher, publisherOn(otherStore, clock)] as const;
    const revoked: string[] = [];
    let highest = 0;
    let ended = false;
    const revoker = (async () => {
      for (let at = 0; at < 40; at++) {
        const serial = await certificate();
        await revoke(serial, "superseded");
        revoked.push(serial);
      }
      ended = true;
    })();
    const reader = async (which: 0 | 1) => {
      while (!ended) {
        const [before, wanted] = [highest, revoked.length];
        const list = await listOf(publishers[which]);
        expect(list.number).toBeGreaterThanOrEqual(before);
        for (const serial of revoked.slice(0, wanted)) {
          expect(list.reasons.has(serial)).toBe(true);
        }
        highest = Math.max(highest, list.number);
      }
    };
    await Promise.all([revoker, reader(0), reader(1), reader(0), reader(1)]);
    const [one, two] = [await listOf(publishers[0]), await listOf(publishers[1])];
    expect(Buffer.from(one.der).equals(two.der)).toBe(true);
    expect(one.reasons.size).toBe(40);
    await otherStore.close();
    await store.close();
  });
});

test("a long list is built without holding the event loop", { timeout: 60_000 }, async () => {
  const store = await openStore(`sqlite:${join(folder, "long.db")}`, { exclusive: false });
  const count = 6000;
  await recordRevoked(store, issuer.id, count, now);
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const list = await listOf(publisherOn(store, { at: now }));
  clearInterval(timer);
  expect(list.entries).toHaveLength(count);
  // Twenty pages: others had their turn between them, whatever the machine's speed.
  expect(turns).toBeGreaterThan(5);
  // Too long to be kept on SQLite: a publisher that starts anew makes another, with a higher
  // number.
  const anew = await listOf(publisherOn(store, { at: now }));
  expect(anew.number).toBe(list.number + 1);
  await store.close();
});
