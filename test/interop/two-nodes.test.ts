/** The topology of docker-compose.yml's profile `postgres`, as it stands and as plain processes. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/load/load.ts";
import { parseCrl } from "../../src/x509/crl/read.ts";
import { callHttps, type Holder } from "../helpers/authority.ts";
import { freePort } from "../helpers/free-port.ts";
import { until } from "../helpers/node-services.ts";
import { enrolAt } from "../helpers/nodes.ts";
import { startPostgres } from "../helpers/postgres.ts";
import { type Running, repository, start, startCountersign } from "../helpers/processes.ts";
import { testWith } from "../helpers/programs.ts";

interface Service {
  readonly profiles?: string[];
  readonly build?: string;
  readonly image?: string;
  readonly hostname?: string;
  readonly command?: string[];
  readonly ports?: string[];
  readonly volumes?: string[];
  readonly environment?: Record<string, string>;
  readonly depends_on?: Record<string, { condition: string }> | string[];
  readonly healthcheck?: { test: string[] };
}

const compose: { services: Record<string, Service>; volumes: Record<string, null> } = parse(
  readFileSync(join(repository, "docker-compose.yml"), "utf8"),
  { merge: true },
);
const { services } = compose;
const balancerFile = "examples/two-nodes/haproxy.cfg";

describe("docker-compose.yml", () => {
  test("starts SQLite alone without a profile, everything else with `postgres`", () => {
    const without = Object.keys(services).filter((name) => !services[name]?.profiles);
    expect(without).toEqual(["countersign"]);
    for (const name of ["postgres", "init", "node-a", "node-b", "balancer"]) {
      expect(services[name]?.profiles).toEqual(["postgres"]);
    }
    expect(services["countersign"]).toEqual({
      build: ".",
      ports: ["8443:8443", "8080:8080"],
      volumes: ["countersign-data:/data"],
      stop_grace_period: "20s",
    });
  });

  test("publishes the two ports of the authority and nothing else", () => {
    const published = Object.values(services).flatMap((one) => one.ports ?? []);
    expect([...new Set(published)].toSorted()).toEqual(["8080:8080", "8443:8443"]);
    expect(services["balancer"]?.ports).toEqual(services["countersign"]?.ports);
  });

  test("mounts only files that are there and volumes that it declares", () => {
    for (const mount of Object.values(services).flatMap((one) => one.volumes ?? [])) {
      const [source = ""] = mount.split(":");
      if (source.startsWith(".")) expect(existsSync(join(repository, source)), source).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
    expect(services["balancer"]?.volumes?.[0]).toContain(`./${balancerFile}:`);
  });

  test("gives the nodes variables that the configuration knows, and one identity", () => {
    const { "node-a": a, "node-b": b } = services;
    expect(a).toEqual(b);
    expect(a?.volumes).toEqual(services["init"]?.volumes);
    const required = {
      COUNTERSIGN_NAME: "x",
      COUNTERSIGN_PUBLIC_URL: "https://localhost:8443",
    };
    const loaded = loadConfig({
      dataDir: "/nowhere",
      env: { ...required, ...a?.environment },
      flags: {},
    });
    expect(loaded.ok ? [] : loaded.refusal.violations).toEqual([]);
    expect(Object.keys(a?.environment ?? {})).toContain("COUNTERSIGN_DATABASE");
    expect(a?.environment?.["COUNTERSIGN_DATABASE"]).toBe(
      services["init"]?.environment?.["COUNTERSIGN_DATABASE"],
    );
  });

  test("waits for the database and the keys, and names services that it has", () => {
    const waits = services["node-a"]?.depends_on;
    expect(waits).toEqual({
      postgres: { condition: "service_healthy" },
      init: { condition: "service_completed_successfully" },
    });
    expect(services["postgres"]?.healthcheck?.test).toContain("pg_isready");
    expect(services["postgres"]?.command).toContain("fsync=on");
    const wanted = [
      ...readFileSync(join(repository, balancerFile), "utf8").matchAll(/\$\{(\w+)\}/g),
    ];
    const given = services["balancer"]?.environment ?? {};
    expect([...new Set(wanted.map(([, name]) => name))].toSorted()).toEqual(
      Object.keys(given).toSorted(),
    );
    for (const address of Object.values(given)) {
      const [host = "", port] = address.split(":");
      expect(["8443", "8080"]).toContain(port);
      if (host !== "") expect(Object.keys(services)).toContain(host);
    }
  });
});

test("docs/run-two-nodes.md names services, files and variables that there are", () => {
  const page = readFileSync(join(repository, "docs/run-two-nodes.md"), "utf8");
  const commands = [...page.matchAll(/^.*docker compose.*$/gm)].map(([line]) => line);
  expect(commands.length).toBeGreaterThan(2);
  for (const command of commands) {
    expect(command).toContain(`--profile ${services["balancer"]?.profiles}`);
    const [, name = ""] = /(?:up -d|exec|cp) ([\w-]+)/.exec(command) ?? [];
    expect(Object.keys(services), command).toContain(name);
  }
  const text = readFileSync(join(repository, "docker-compose.yml"), "utf8");
  for (const [, name] of page.matchAll(/(CA_HOST|POSTGRES_PASSWORD)=/g)) {
    expect(text).toContain(`\${${name}:-`);
  }
  const known = readFileSync(join(repository, "docs/reference/configuration.md"), "utf8");
  for (const [name] of page.matchAll(/COUNTERSIGN_[A-Z_]+/g))
    expect(known).toContain(`\`${name}\``);
  for (const [, file = ""] of page.matchAll(/\]\((?!http)([^)#]+)\)/g)) {
    expect(existsSync(join(repository, "docs", file)), file).toBe(true);
  }
});

testWith("haproxy")(
  "behind the balancer clients enrol, renew and read CRLs while one node after the other ends",
  { timeout: 60_000 },
  async () => {
    const { folder, nodes, balancer, port, httpPort, database } = await startTopology();
    const text = (name: string) => readFileSync(join(folder, name), "utf8");
    const root = text("root.crt");
    const [a, b] = nodes;
    const call = (
      method: string,
      path: string,
      options: Parameters<typeof callHttps>[3] = {},
      at = port,
    ) => callHttps(`https://localhost:${at}${path}`, method, root, options);
    const explain = () =>
      [balancer.text(), a.running.text(), b.running.text()].join("\n").slice(-2500);

    // Both use one folder, and leave nothing unfinished in it.
    expect(readdirSync(folder).filter((name) => name.endsWith(".new"))).toEqual([]);

    // The operator that `init` made is known to the nodes: it mints the token.
    const operator = { cert: text("operator.crt"), key: text("operator.key") };
    const minted = await call("POST", "/v1/tokens", {
      as: operator,
      body: { profile: "client", cn: "web" },
    });
    expect(minted.status, minted.text).toBe(201);
    let held: Holder = await enrolAt({ call }, minted.json.token);
    const renew = async () => {
      const answer = await call("POST", "/v1/certificates/renew", { as: held });
      if (answer.status === 201) held = { ...held, cert: answer.text };
      return answer.status;
    };
    expect(await renew()).toBe(201);

    const { id } = (await call("GET", "/v1/ca")).json.issuers[0];
    const readCrl = () => getPlain(httpPort, `/crl/${id}.crl`);
    const list = parseCrl(await readCrl());
    expect(list.ok ? list.value.crlNumber : list.refusal).toBeGreaterThan(0n);

    const endOf = async (node: TopologyNode, signal: NodeJS.Signals) => {
      node.running.child.kill(signal);
      // A connection that the node took with it is the one thing that a client may see.
      await until(async () => (await renew().catch(() => 0)) === 201, 5, explain);
      for (let n = 0; n < 4; n++) expect(await renew(), explain()).toBe(201);
      expect((await readCrl()).length).toBeGreaterThan(100);
      await node.ended();
      expect(await renew(), explain()).toBe(201);
    };
    await endOf(a, "SIGTERM");
    await a.start();
    // Both serve again, by the balancer's own log.
    const before = balancer.text().length;
    await until(
      async () => {
        await Promise.all([renew(), renew(), readCrl()]);
        const since = balancer.text().slice(before);
        return [" tls/a ", " tls/b "].every((server) => since.includes(server));
      },
      8,
      explain,
    );
    await endOf(b, "SIGKILL");

    // No node is ready, and the client is told so rather than cut off.
    const stopped = balancer.text().length;
    await database.stop();
    await until(async () => (await renew().catch(() => 0)) === 503, 8, explain);
    const down = (node: string) =>
      balancer.text().slice(stopped).includes(`Server tls/${node} is DOWN`);
    await until(() => down("a"), 8, explain);
    expect(await renew(), explain()).toBe(503);
    await database.start();
    await until(async () => (await renew().catch(() => 0)) === 201, 8, explain);
  },
);

interface TopologyNode {
  running: Running;
  readonly port: number;
  start(): Promise<void>;
  ended(): Promise<void>;
}

/** As docker-compose.yml says it: one folder, one database, two nodes, the balancer's own file. */
async function startTopology() {
  const folder = mkdtempSync(join(tmpdir(), "countersign-balanced-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const database = await startPostgres();
  onTestFinished(() => database.remove());
  const [port, httpPort] = [await freePort(), await freePort()];
  const common = {
    ...services["node-a"]?.environment,
    COUNTERSIGN_DATA: join(folder, "data"),
    COUNTERSIGN_DATABASE: await database.database("countersign"),
  };
  const init = startCountersign(["init", "--dns", "localhost"], common);
  await new Promise<void>((resolve) => init.child.once("close", () => resolve()));
  expect(init.child.exitCode, init.text()).toBe(0);

  const listeners = [
    [await freePort(), await freePort()],
    [await freePort(), await freePort()],
  ] as const;
  const prepare = ([tls, http]: readonly [number, number]): TopologyNode => {
    const run = () =>
      startCountersign(["serve"], {
        ...common,
        COUNTERSIGN_LISTEN_HOST: "127.0.0.1",
        COUNTERSIGN_LISTEN_PORT: String(tls),
        COUNTERSIGN_LISTEN_HTTP_PORT: String(http),
      });
    const node = {
      running: run(),
      port: tls,
      async start() {
        node.running = run();
        await ready();
      },
      ended: () => node.running.stop(),
    };
    const ready = () =>
      until(
        () => node.running.text().includes("openssl verify"),
        15,
        () => node.running.text(),
      );
    return node;
  };
  // At once: both find no certificate of their own in the folder.
  const [a, b] = [prepare(listeners[0]), prepare(listeners[1])];
  for (const node of [a, b]) {
    await until(
      () => node.running.text().includes("openssl verify"),
      20,
      () => node.running.text(),
    );
  }

  const env = {
    PATH: `${process.env["PATH"]}:/usr/sbin`,
    BALANCER_TLS: `127.0.0.1:${port}`,
    BALANCER_HTTP: `127.0.0.1:${httpPort}`,
    NODE_A_TLS: `127.0.0.1:${listeners[0][0]}`,
    NODE_A_HTTP: `127.0.0.1:${listeners[0][1]}`,
    NODE_B_TLS: `127.0.0.1:${listeners[1][0]}`,
    NODE_B_HTTP: `127.0.0.1:${listeners[1][1]}`,
  };
  const check = start("haproxy", ["-c", "-f", balancerFile], env);
  await new Promise<void>((resolve) => check.child.once("close", () => resolve()));
  expect(check.child.exitCode, check.text()).toBe(0);
  const balancer = start("haproxy", ["-db", "-f", balancerFile], env);
  const answers = () =>
    getPlain(httpPort, "/").then(
      () => true,
      () => false,
    );
  await until(answers, 5, balancer.text);
  return {
    folder: join(folder, "data"),
    nodes: [a, b] as const,
    balancer,
    port,
    httpPort,
    database,
  };
}

function getPlain(port: number, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path, agent: new Agent() }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks)));
    }).on("error", reject);
  });
}
