/** S-36: a reload that said "reloaded" and kept what security hangs on. */

import { spawn } from "node:child_process";
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { initialise } from "../../src/ceremony/found.ts";
import { initialiseDefaults } from "../../src/ceremony/founding.ts";
import { parseCertificateChain } from "../../src/x509/certificate/read.ts";
import { parseCrl } from "../../src/x509/crl/read.ts";
import {
  type CallOptions,
  callHttps,
  makeCsr,
  newKey,
  pemOf,
  testSubject,
} from "../helpers/authority.ts";
import { foreignTokens, livingClaims } from "../helpers/foreign-tokens.ts";
import { freePort } from "../helpers/free-port.ts";
import { until } from "../helpers/node-services.ts";
import { repository, runCountersign } from "../helpers/processes.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of cleanUp.splice(0).reverse()) await one();
});

// biome-ignore lint/suspicious/noExplicitAny: keys of every shape are changed
type Yaml = Record<string, any>;

/** A real process (or several) that serves a folder of its own. */
async function serve(workers: number) {
  const home = mkdtempSync(join(tmpdir(), "countersign-reload-"));
  cleanUp.push(() => rmSync(home, { recursive: true, force: true }));
  const folder = join(home, "data");
  const [port, httpPort] = [await freePort(), await freePort()];
  await initialise({ ...initialiseDefaults, folder, port, httpPort });
  const file = join(folder, "countersign.yaml");
  const write = (change: (yaml: Yaml) => void) => {
    const yaml = parse(readFileSync(file, "utf8")) as Yaml;
    change(yaml);
    writeFileSync(file, stringify(yaml));
  };
  write((yaml) => {
    yaml["listen"].host = "127.0.0.1";
  });
  const child = spawn(
    process.execPath,
    ["src/cli/main.ts", "serve", "--data", folder, "--workers", String(workers)],
    { cwd: repository, stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = new Promise((resolve) => child.on("exit", resolve));
  cleanUp.push(() => child.kill("SIGTERM") && ended);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
  await until(
    () => said.includes("openssl verify"),
    30,
    () => said,
  );
  const text = (name: string) => readFileSync(join(folder, name), "utf8");
  const root = text("root.crt");
  const operator = { cert: text("operator.crt"), key: text("operator.key") };
  const call = (method: string, path: string, options: CallOptions = {}) =>
    callHttps(`https://localhost:${port}${path}`, method, root, options);
  const compare = () => runCountersign(["config", "check", "--against-running", "--data", folder]);
  // The note of the last worker says that all of them listen.
  await until(
    async () => (await compare()).out.split("runs with it").length > workers,
    30,
    () => said,
  );
  const count = (pattern: RegExp) => said.match(new RegExp(pattern, "g"))?.length ?? 0;
  return {
    ...{ folder, root, operator, call, compare, httpPort, write },
    said: () => said,
    /** Changes the file, and waits until each process has said something of it. */
    async reload(change: (yaml: Yaml) => void, says = /the configuration was reloaded/) {
      const before = count(says);
      write(change);
      child.kill("SIGHUP");
      await until(
        () => count(says) >= before + workers,
        30,
        () => said,
      );
    },
    async mint(terms: object = {}): Promise<string> {
      const body = { profile: "client", cn: "web", ...terms };
      return (await call("POST", "/v1/tokens", { as: operator, body })).json.token;
    },
    present: (token: string, key: KeyObject = newKey()) =>
      call("POST", "/v1/certificates", {
        token,
        body: makeCsr({ key, subject: `${testSubject}/CN=web` }),
        headers: { "content-type": "application/pkcs10" },
      }),
  };
}

type Served = Awaited<ReturnType<typeof serve>>;

/** Several connections: the kernel spreads them over the workers. */
async function everywhere(ask: () => Promise<{ status: number }>): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: 12 }, ask));
  return [...new Set(answers.map((one) => one.status))];
}

const spkiSha256 = (key: KeyObject) =>
  createHash("sha256")
    .update(createPublicKey(key).export({ type: "spki", format: "der" }))
    .digest("hex");

describe.each([1, 2])("a reload of %d process(es)", (workers) => {
  test("takes blocked keys, readers, trusted issuers, limits, addresses and the handshake", async () => {
    const served = await serve(workers);
    const { call, operator, folder, reload, mint, present } = served;
    const stolen = newKey();
    const first = await present(await mint(), stolen);
    expect(first.status, first.text).toBe(201);
    const holder = { cert: first.text, key: pemOf(stolen) };
    const list = () => call("GET", "/v1/certificates?limit=1", { as: holder });
    expect(await everywhere(list)).toEqual([200]);

    const foreign = foreignTokens();
    foreign.publish(folder, "jwks.json");
    const blocked = join(folder, "blocked.txt");
    writeFileSync(blocked, `${spkiSha256(stolen)}\n`);
    await reload((yaml) => {
      yaml["policy"].blockedKeys = "blocked.txt";
      yaml["index"] = { readers: "operator" };
      yaml["publicHttpUrl"] = "http://crl.example.test";
      yaml["limits"] = { bodyBytes: 1500 };
      yaml["tokens"] = {
        maxTtl: "30m",
        issuers: [
          {
            issuer: "https://ci.example.test",
            audience: "here",
            jwks: "jwks.json",
            profile: "client",
          },
        ],
      };
    });

    const blockedNow = await Promise.all(
      Array.from({ length: 6 }, async () => present(await mint(), stolen)),
    );
    expect(blockedNow.map((one) => [one.status, one.json.violations?.[0].rule])).toEqual(
      Array(6).fill([422, "keys.blocked"]),
    );
    expect(await everywhere(list)).toEqual([403]);
    expect(await everywhere(() => call("GET", "/v1/certificates", { as: operator }))).toEqual([
      200,
    ]);
    let jti = 0;
    const enrolled = () => {
      const claims = { ...livingClaims("https://ci.example.test", "here"), jti: `run-${++jti}` };
      return present(foreign.token(claims));
    };
    expect(await everywhere(enrolled)).toEqual([201]);
    const tooLong = () =>
      call("POST", "/v1/tokens", {
        as: operator,
        body: { profile: "client", cn: "web", ttl: 3600 },
      });
    expect(await everywhere(tooLong)).toEqual([422]);
    const large = () =>
      call("POST", "/v1/certificates/check", {
        as: operator,
        body: Buffer.alloc(1600),
        headers: { "content-type": "application/pkcs10" },
      });
    expect(await everywhere(large)).toEqual([413]);
    const inChunks = () =>
      call("POST", "/v1/certificates/check", {
        as: operator,
        body: Buffer.alloc(1600),
        headers: { "content-type": "application/pkcs10", "transfer-encoding": "chunked" },
      });
    expect(await everywhere(inChunks)).toEqual([413]);
    await expectNewAddresses(served);

    // What is in a named file counts like what is in the configuration.
    const next = newKey();
    await reload(() => writeFileSync(blocked, `${spkiSha256(next)}\n`));
    expect(await everywhere(async () => present(await mint(), next))).toEqual([422]);
    expect((await present(await mint(), stolen)).status).toBe(201);

    await reload((yaml) => {
      yaml["limits"] = { perIdentity: { max: 2, window: "1h" } };
      yaml["listen"].requireClientCertificate = true;
    });
    // Each process counts for itself.
    const busy = await Promise.all(
      Array.from({ length: 3 * workers + 6 }, () => call("GET", "/v1/audit", { as: operator })),
    );
    expect(busy.map((one) => one.status)).toContain(429);
    await expect(call("GET", "/healthz")).rejects.toThrow();
  }, 120_000);

  test("names what waits for a restart, and one that is refused changes nothing", async () => {
    const { reload, compare, said, present, mint, write } = await serve(workers);
    await reload((yaml) => {
      yaml["name"] = "Another CA";
      yaml["limits"] = { handshakeTimeout: "20s" };
      yaml["policy"].keys.ec = ["P-384"];
    });
    const line = said()
      .split("\n")
      .findLast((one) => one.includes("the configuration was reloaded"));
    expect(JSON.parse(line ?? "{}")).toMatchObject({
      waiting: ["name", "limits.handshakeTimeout"],
      msg: "the configuration was reloaded; these keys changed and wait for a restart: name, limits.handshakeTimeout",
    });
    const compared = await compare();
    expect(compared.code).toBe(1);
    expect(compared.err).toMatch(/a restart takes: name, limits\.handshakeTimeout/);
    expect(compared.err).not.toContain("a reload takes");

    await reload((yaml) => {
      yaml["policy"].keys.ec = ["P-256"];
      yaml["policy"].blockedKeys = "gone.txt";
    }, /reload refused/);
    const refusal = JSON.parse(
      said()
        .split("\n")
        .findLast((one) => one.includes("refused")) ?? "{}",
    );
    expect(refusal.msg).toMatch(
      /^reload refused, the old configuration stays in force: .*gone\.txt/,
    );
    expect(JSON.stringify(refusal)).not.toMatch(/"stack"|node:internal|\.ts:\d/);
    // Every key of it: P-384 is still the only curve.
    expect(await everywhere(async () => present(await mint()))).toEqual([422]);
    const after = await compare();
    expect(after.code).not.toBe(0);
    write((yaml) => {
      delete yaml["policy"].blockedKeys;
    });
    expect((await compare()).err).toMatch(/its last reload was refused: .*gone\.txt/);
    expect((await compare()).err).toMatch(/a reload takes \(kill -HUP \d+\): policy\.keys\.ec/);
  }, 120_000);
});

/** New certificates name the new address, and the list is the one that they name. */
async function expectNewAddresses({ call, mint, present, httpPort }: Served): Promise<void> {
  const url = (await call("GET", "/v1/ca")).json.urls.crl;
  expect(url).toMatch(/^http:\/\/crl\.example\.test\/crl\//);
  const chain = parseCertificateChain((await present(await mint())).text);
  expect(chain.ok && chain.value[0]?.crlDistributionPoints).toEqual([url]);
  for (let ask = 0; ask < 6; ask++) {
    const answer = await fetch(url.replace("crl.example.test", `127.0.0.1:${httpPort}`));
    const list = parseCrl(new Uint8Array(await answer.arrayBuffer()));
    expect(list.ok, "the list is served at the new address").toBe(true);
    // The list of all names no distribution point, so that it goes on for older certificates.
    expect(list.ok && list.value.issuingDistributionPoint).toBeUndefined();
  }
}
