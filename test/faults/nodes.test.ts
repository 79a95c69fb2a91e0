import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { parseCrl } from "../../src/x509/crl/read.ts";
import { newKey } from "../helpers/authority.ts";
import {
  distinct,
  enrolAt,
  expectOnRecord,
  keptConnection,
  type Node,
  type Nodes,
  prepareNodes,
  present,
  serialOf,
  times,
} from "../helpers/nodes.ts";
import { usePostgres } from "../helpers/use-postgres.ts";

const postgres = usePostgres();
let database: string;
let nodes: Nodes;
let a: Node;
let b: Node;

beforeAll(async () => {
  database = await postgres.database("nodes");
  nodes = await prepareNodes(database);
  [a, b] = await Promise.all([nodes.start(), nodes.start()]);
});
afterAll(() => nodes?.remove());

const either = (at: number) => (at % 2 === 0 ? a : b);
const type = { "content-type": "application/pkcs10" };

const enrol = async (node: Node, cn = "web", profile = "client") =>
  enrolAt(node, await nodes.mint({ cn, profile }), cn);

describe("two processes on one database", () => {
  test("a token presented 50 times in parallel with one key gives one certificate; with as many keys, one wins (S-22)", async () => {
    const token = await nodes.mint();
    const key = newKey();
    const same = await Promise.all(times(50, (at) => present(either(at), token, key)));
    expect(distinct(same.map(serialOf))).toBe(1);
    expect(same.filter((one) => one.status === 201)).toHaveLength(1);
    expect(same.filter((one) => one.status === 200)).toHaveLength(49);

    const other = await nodes.mint();
    const raced = await Promise.all(times(50, (at) => present(either(at), other)));
    expect(raced.filter((one) => one.status === 201)).toHaveLength(1);
    expect(raced.filter((one) => one.status === 409)).toHaveLength(49);
  });

  test("50 parallel renewals with one Idempotency-Key are one certificate (S-25)", async () => {
    const held = await enrol(a);
    const headers = { "idempotency-key": randomUUID() };
    const answers = await Promise.all(
      times(50, (at) => either(at).call("POST", "/v1/certificates/renew", { as: held, headers })),
    );
    expect(distinct(answers.map((one) => one.status))).toBeLessThanOrEqual(2);
    expect(answers.filter((one) => one.status === 201)).toHaveLength(1);
    expect(distinct(answers.map(serialOf))).toBe(1);
  });

  test("serials of both under load are unique, and each is on record with the bytes that were given", async () => {
    const answers = await Promise.all(
      times(60, async (at) => present(either(at), await nodes.mint())),
    );
    const serials = answers.map(serialOf);
    expect(distinct(serials)).toBe(60);
    await expectOnRecord(database, serials);
  });

  test("what one revokes the other refuses on the next request, on an open connection too (S-03)", async () => {
    const held = await enrol(a);
    const agent = keptConnection(nodes.root, held);
    const ask = () =>
      new Promise<{ status: number; port: number }>((resolve, reject) => {
        request(
          { agent, host: "localhost", port: b.port, path: "/v1/certificates?limit=1" },
          (answer) => {
            const { localPort = 0 } = answer.socket;
            answer
              .resume()
              .on("end", () => resolve({ status: answer.statusCode ?? 0, port: localPort }));
          },
        )
          .on("error", reject)
          .end();
      });
    const before = await ask();
    expect(before.status).toBe(200);
    const path = `/v1/certificates/${held.serial}/revoke`;
    const body = { reason: "keyCompromise" };
    expect((await a.call("POST", path, { as: held, body })).status).toBe(200);
    expect(await ask()).toEqual({ status: 401, port: before.port });
    agent.destroy();
  });

  test("the CRL of each has what the other revoked, and its number never goes back", async () => {
    const issuer = (await a.call("GET", "/v1/ca")).json.issuers[0].id;
    let last = 0n;
    for (const at of times(8, (n) => n)) {
      const held = await enrol(either(at));
      const path = `/v1/certificates/${held.serial}/revoke`;
      await either(at).call("POST", path, { as: held, body: { reason: "superseded" } });
      for (const node of [either(at + 1), either(at)]) {
        const list = parseCrl((await node.call("GET", `/crl/${issuer}.crl`)).bytes);
        if (!list.ok) throw new Error(list.refusal.detail);
        expect(list.value.entries.map((entry) => entry.serial)).toContain(held.serial);
        const number = BigInt(list.value.crlNumber ?? 0);
        expect(number).toBeGreaterThanOrEqual(last);
        last = number;
      }
    }
  });

  test("a database that goes away: 503 and nothing issued; it comes back: both go on without a restart", async () => {
    const held = await enrol(a);
    const token = await nodes.mint();
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await postgres.stop();
    for (const node of [a, b]) {
      const answers = await Promise.all([
        present(node, token, privateKey),
        node.call("POST", "/v1/certificates/renew", { as: held }),
        node.call("GET", "/readyz"),
      ]);
      expect(answers.map((one) => one.status)).toEqual([503, 503, 503]);
      for (const one of answers)
        expect(one.text).not.toMatch(/BEGIN CERTIFICATE|password|\n\s+at /);
      expect(answers[0]?.headers["content-type"]).toMatch(/problem\+json/);
      expect((await node.call("GET", "/healthz")).status).toBe(200);
    }
    await postgres.start();
    const answers = await Promise.all([a, b].map((node) => present(node, token, privateKey)));
    expect(answers.map((one) => one.status).toSorted()).toEqual([200, 201]);
    for (const node of [a, b]) expect((await node.call("GET", "/readyz")).status).toBe(200);
  });
});

/** A request whose body never comes to its end; `gone` when its connection is. */
async function beginForever(node: Node): Promise<{ gone: Promise<void> }> {
  const slow = request({
    host: "localhost",
    port: node.port,
    path: "/v1/certificates",
    method: "POST",
    ca: nodes.root,
    headers: { authorization: `Bearer ${await nodes.mint()}`, "content-length": 1000, ...type },
  });
  const gone = new Promise<void>((resolve) =>
    slow.on("error", () => resolve()).on("close", resolve),
  );
  slow.write("-----BEGIN");
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { gone };
}

describe("SIGTERM under load", () => {
  test("every answer that was started is whole, what was handed out is on record, and it ends with 0", async () => {
    const node = await nodes.start();
    const received: string[] = [];
    let torn = 0;
    let stopped = false;
    const client = async () => {
      while (!stopped) {
        try {
          const answer = await present(node, await nodes.mint());
          if (answer.status === 201) received.push(serialOf(answer));
          else expect([503]).toContain(answer.status);
          if (answer.status === 201 && !/END CERTIFICATE-----\n$/.test(answer.text)) torn += 1;
        } catch {
          // It was refused or closed before an answer was started: the client holds nothing.
          stopped = true;
        }
      }
    };
    const clients = times(8, client);
    await new Promise((resolve) => setTimeout(resolve, 400));
    const code = await node.end("SIGTERM");
    stopped = true;
    await Promise.all(clients);
    expect([code, torn]).toEqual([0, 0]);
    expect(received.length).toBeGreaterThan(5);
    await expectOnRecord(database, received);
  });

  test("a client that sends its request for ever does not hold it", async () => {
    const node = await nodes.start();
    const { gone } = await beginForever(node);
    const code = await node.end("SIGTERM");
    expect(code).toBe(0);
    await gone;
  }, 30_000);

  test("a second signal ends it at once", async () => {
    const node = await nodes.start();
    await beginForever(node);
    const ended = node.end("SIGTERM");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(node.child.exitCode).toBeNull();
    await Promise.all([ended, node.end("SIGTERM")]);
    expect(node.child.exitCode ?? node.child.signalCode).not.toBe(0);
  });
});

describe("SIGHUP", () => {
  test("takes a changed policy into force, and keeps the old one when the file is wrong", async () => {
    const node = await nodes.start();
    const file = join(node.folder, "countersign.yaml");
    const yaml = parse(readFileSync(file, "utf8"));
    const hangUp = async (text: string, until: RegExp) => {
      writeFileSync(file, text);
      node.child.kill("SIGHUP");
      for (let wait = 0; wait < 100 && !until.test(node.said()); wait++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(node.said()).toMatch(until);
    };
    expect((await present(node, await nodes.mint())).status).toBe(201);
    yaml.policy.keys.ec = ["P-384"];
    await hangUp(stringify(yaml), /the configuration was reloaded/);
    const refused = await present(node, await nodes.mint());
    expect([refused.status, refused.json.violations[0].field]).toEqual([422, expect.any(String)]);
    await hangUp("policy: [", /reload refused, the old configuration stays in force/);
    expect((await present(node, await nodes.mint())).status).toBe(422);
    expect(await node.end("SIGTERM")).toBe(0);
  });
});
