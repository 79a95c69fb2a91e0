import { createHash, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { openStore } from "../../src/store/open.ts";
import { makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { until } from "../helpers/node-services.ts";
import { type Node, type Nodes, prepareNodes } from "../helpers/nodes.ts";
import { startPostgres, type TestPostgres } from "../helpers/postgres.ts";

const long = process.env["COUNTERSIGN_TEST_LONG"] === "1";
const CLIENTS = 8;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.remove());

/** Issues until the service is gone; keeps every certificate that a client has in hands. */
async function load(node: Node, nodes: Nodes, received: string[], until: () => boolean) {
  while (!until()) {
    try {
      const answer = await node.call("POST", "/v1/certificates", {
        token: await nodes.mint({ cn: "crash" }),
        body: makeCsr({ key: newKey(), subject: `${testSubject}/CN=crash` }),
        headers: { "content-type": "application/pkcs10" },
      });
      if (answer.status === 201) received.push(answer.text);
    } catch {
      // The service was killed under this request: the client has nothing in hands.
    }
  }
}

describe.each([
  { engine: "sqlite", rounds: long ? 50 : 5 },
  { engine: "postgres", rounds: long ? 50 : 4 },
] as const)("kill -9 under load on $engine (S-29)", ({ engine, rounds }) => {
  test("what any client received is on record with the same bytes, nothing is half there, and it serves again", {
    timeout: 600_000,
  }, async () => {
    let database = engine === "sqlite" ? "sqlite:countersign.db" : await postgres.database("crash");
    const nodes = await prepareNodes(database);
    const received: string[] = [];
    let node = await nodes.start();
    for (let round = 0; round < rounds; round++) {
      let killed = false;
      const clients = Array.from({ length: CLIENTS }, () =>
        load(node, nodes, received, () => killed),
      );
      await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 500));
      await node.end("SIGKILL");
      killed = true;
      await Promise.all(clients);
      node = await nodes.restart(node);
    }
    expect(received.length).toBeGreaterThan(rounds);

    if (engine === "sqlite") database = `sqlite:${join(node.folder, "countersign.db")}`;
    const store = await openStore(database, { exclusive: false });
    // On SQLite this is its integrity check too.
    expect(await store.inspect()).toEqual([]);
    for (const pem of received) {
      const der = decodePem(pem)[0]?.der ?? new Uint8Array();
      const sha256 = createHash("sha256").update(der).digest("hex");
      const serial = serialIn(der);
      const found = await store.findPresented(serial, sha256);
      const kept = (await store.readDer([found?.id ?? 0])).get(found?.id ?? 0);
      expect(Buffer.compare(kept ?? new Uint8Array(), der)).toBe(0);
    }
    await store.close();
    const ready = await node.call("GET", "/readyz");
    expect(ready.json.ready).toBe(true);
    expect(await node.end("SIGTERM")).toBe(0);
    await nodes.remove();
  });
});

describe("a PostgreSQL that ends at once under load", () => {
  test("loses nothing that a client received, and is used again when it is back", {
    timeout: 90_000,
  }, async () => {
    const database = await postgres.database("fallen");
    const nodes = await prepareNodes(database);
    const node = await nodes.start();
    const received: string[] = [];
    let done = false;
    const clients = Array.from({ length: CLIENTS }, () => load(node, nodes, received, () => done));
    await until(() => received.length > 5, 30, node.said);
    await postgres.stop();
    const before = received.length;
    await postgres.start();
    await until(() => received.length >= before + 5, 30, node.said);
    done = true;
    await Promise.all(clients);
    // It lives through the outage: nobody has to start it again.
    expect({ code: node.child.exitCode, said: node.said() }).toMatchObject({ code: null });
    expect(before).toBeGreaterThan(5);
    expect(received.length).toBeGreaterThan(before);
    const store = await openStore(database, { exclusive: false });
    expect(await store.inspect()).toEqual([]);
    for (const pem of received) {
      const der = decodePem(pem)[0]?.der ?? new Uint8Array();
      const sha256 = createHash("sha256").update(der).digest("hex");
      expect(await store.findPresented(serialIn(der), sha256)).toBeDefined();
    }
    await store.close();
    await nodes.remove();
  });
});

function serialIn(der: Uint8Array): string {
  return new X509Certificate(der).serialNumber.toLowerCase();
}
