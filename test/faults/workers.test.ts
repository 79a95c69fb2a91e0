import { randomUUID } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseCrl } from "../../src/x509/crl/read.ts";
import { type Holder, newKey } from "../helpers/authority.ts";
import { until } from "../helpers/node-services.ts";
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

/** Processes that a process has started. */
function workersOf({ child }: Node): number[] {
  const text = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
  return text.trim().split(" ").filter(Boolean).map(Number);
}

test("a worker that the system refuses to start is started when it can be, and the others go on", async () => {
  const nodes = await prepareNodes("sqlite:countersign.db");
  const folder = mkdtempSync(join(tmpdir(), "countersign-program-"));
  const program = join(folder, "node");
  copyFileSync(process.execPath, program);
  const node = await nodes.start(["--workers", "2"], undefined, program);
  await until(() => workersOf(node).length === 2, 10, node.said);
  rmSync(program);
  process.kill(workersOf(node)[1] ?? 0, "SIGKILL");
  await until(() => /a worker could not be started .*ENOENT/.test(node.said()), 10, node.said);
  expect((await node.call("GET", "/readyz")).status).toBe(200);
  // A program that is being written: this refusal is thrown, not an event.
  copyFileSync(process.execPath, `${program}.new`);
  const writing = openSync(`${program}.new`, "r+");
  renameSync(`${program}.new`, program);
  await until(() => /a worker could not be started .*ETXTBSY/.test(node.said()), 10, node.said);
  expect((await node.call("GET", "/readyz")).status).toBe(200);
  closeSync(writing);
  await until(() => workersOf(node).length === 2, 10, node.said);
  expect(await node.end("SIGTERM")).toBe(0);
  await nodes.remove();
  rmSync(folder, { recursive: true });
});

describe.each(["sqlite", "postgres"] as const)("serve --workers 2 on %s", (engine) => {
  let nodes: Nodes;
  let node: Node;
  let database: string;
  /** On record where the authority was created: on SQLite. */
  let operator: Holder;
  /** One of the node's own. */
  let reader: Holder;
  beforeAll(async () => {
    database = engine === "sqlite" ? "sqlite:countersign.db" : await postgres.database("workers");
    nodes = await prepareNodes(database);
    node = await nodes.start(["--workers", "2"]);
    if (engine === "sqlite") database = `sqlite:${join(node.folder, "countersign.db")}`;
    const read = (name: string) => readFileSync(join(node.folder, name), "utf8");
    operator = { cert: read("operator.crt"), key: read("operator.key") };
    // The second starts when the first listens.
    await until(() => workersOf(node).length === 2, 10, node.said);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    reader = await enrol();
  });
  afterAll(() => nodes?.remove());

  const enrol = async () => enrolAt(node, await nodes.mint());

  test("a token and an Idempotency-Key give one certificate, whichever worker is asked", async () => {
    const token = await nodes.mint();
    const key = newKey();
    const same = await Promise.all(times(50, () => present(node, token, key)));
    expect([distinct(same.map(serialOf)), same.filter((one) => one.status === 201).length]).toEqual(
      [1, 1],
    );
    const other = await nodes.mint();
    const raced = await Promise.all(times(50, () => present(node, other)));
    expect(raced.filter((one) => one.status === 201)).toHaveLength(1);
    expect(raced.filter((one) => one.status === 409)).toHaveLength(49);
    const held = await enrol();
    const headers = { "idempotency-key": randomUUID() };
    const renewed = await Promise.all(
      times(50, () => node.call("POST", "/v1/certificates/renew", { as: held, headers })),
    );
    expect(distinct(renewed.map(serialOf))).toBe(1);
    expect(renewed.filter((one) => one.status === 201)).toHaveLength(1);
  });

  test("what one worker revokes each refuses on the next request, and CRL and OCSP's index say so", async () => {
    const held = await enrol();
    // Each new connection goes to the next worker in turn.
    const agents = times(4, () => keptConnection(nodes.root, held));
    const ask = (agent: (typeof agents)[number]) =>
      new Promise<number>((resolve, reject) => {
        const path = "/v1/certificates?limit=1";
        request({ agent, host: "localhost", port: node.port, path }, (answer) =>
          answer.resume().on("end", () => resolve(answer.statusCode ?? 0)),
        )
          .on("error", reject)
          .end();
      });
    expect(await Promise.all(agents.map(ask))).toEqual([200, 200, 200, 200]);
    const path = `/v1/certificates/${held.serial}/revoke`;
    await node.call("POST", path, { as: held, body: { reason: "keyCompromise" } });
    expect(await Promise.all(agents.map(ask))).toEqual([401, 401, 401, 401]);
    for (const agent of agents) agent.destroy();
    const issuer = (await node.call("GET", "/v1/ca")).json.issuers[0].id;
    const lists = await Promise.all(times(4, () => node.call("GET", `/crl/${issuer}.crl`)));
    for (const { bytes } of lists) {
      const list = parseCrl(bytes);
      if (!list.ok) throw new Error(list.refusal.detail);
      expect(list.value.entries.map((entry) => entry.serial)).toContain(held.serial);
    }
    // Two that were asked at once may have made one each: asked again, all give the newer.
    const again = await Promise.all(times(4, () => node.call("GET", `/crl/${issuer}.crl`)));
    expect(distinct(again.map(({ bytes }) => bytes.toString("base64")))).toBe(1);
  });

  test("a worker that is killed is replaced, and what it had answered is on record", async () => {
    const before = workersOf(node);
    expect(before).toHaveLength(2);
    const received: string[] = [];
    let done = false;
    const clients = times(6, async () => {
      while (!done) {
        const answer = await present(node, await nodes.mint()).catch(() => undefined);
        if (answer?.status === 201) received.push(serialOf(answer));
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.kill(before[1] ?? 0, "SIGKILL");
    await until(
      () => {
        const now = workersOf(node);
        return now.length === 2 && !now.includes(before[1] ?? 0);
      },
      10,
      node.said,
    );
    done = true;
    await Promise.all(clients);
    expect(received.length).toBeGreaterThan(5);
    const found = await Promise.all(
      received.map((serial) => node.call("GET", `/v1/certificates/${serial}`, { as: reader })),
    );
    expect(distinct(found.map((one) => one.status))).toBe(1);
    expect(found[0]?.status).toBe(200);
  });

  test("export and metrics speak of all workers", async () => {
    const listed = await node.call("GET", "/v1/certificates", {
      as: reader,
      headers: { accept: "application/x-ndjson" },
    });
    const lines = listed.text.trim().split("\n");
    expect(lines.length).toBeGreaterThan(10);
    expect(distinct(lines.map((line) => JSON.parse(line).serial))).toBe(lines.length);
    if (engine === "postgres") return;
    const issued =
      /countersign_requests_total\{method="POST",route="\/v1\/certificates",status="201"\} (\d+)/;
    const own = lines.filter((line) => JSON.parse(line).via === "token").length;
    let count: number | undefined;
    // One that is asked while a worker is too busy to answer says so instead.
    for (let tries = 0; tries < 5 && count === undefined; tries++) {
      const { text } = await node.call("GET", "/metrics", { as: operator });
      const found = issued.exec(text)?.[1];
      if (found !== undefined) count = Number(found);
    }
    expect(count).toBeGreaterThan(1);
    expect(count).toBeLessThanOrEqual(own);
  });

  test("SIGTERM under load ends all of them with 0, and nothing that was handed out is lost", async () => {
    const received: string[] = [];
    let stopped = false;
    const clients = times(6, async () => {
      while (!stopped) {
        const answer = await present(node, await nodes.mint()).catch(() => undefined);
        if (answer?.status === 201) received.push(serialOf(answer));
        if (answer === undefined) stopped = true;
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 400));
    const pids = workersOf(node);
    expect(await node.end("SIGTERM")).toBe(0);
    stopped = true;
    await Promise.all(clients);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
    expect(received.length).toBeGreaterThan(5);
    await expectOnRecord(database, received);
  });
});
