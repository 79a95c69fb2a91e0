/** S-43: a full disk that also held the log stopped every route. */

import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { initialise } from "../../src/ceremony/found.ts";
import { initialiseDefaults } from "../../src/ceremony/founding.ts";
import { LogDestination } from "../../src/server/log/destination.ts";
import { type CallOptions, callHttps, makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { freePort } from "../helpers/free-port.ts";
import { until } from "../helpers/node-services.ts";
import { repository } from "../helpers/processes.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of cleanUp.splice(0).reverse()) await one();
});

/** A small disk of its own; undefined where this user may not mount. */
function smallDisk(size: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "countersign-disk-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], {
      stdio: "pipe",
    });
  } catch {
    return undefined;
  }
  cleanUp.push(() => execFileSync("umount", ["-l", folder]));
  return folder;
}

const mountable = smallDisk("64k") !== undefined;
for (const one of cleanUp.splice(0).reverse()) one();
if (!mountable && process.env["CI"] !== "true") console.warn("skipped: this user may not mount");
const onSmallDisk = mountable || process.env["CI"] === "true" ? test : test.skip;

/** Takes every byte that is left. */
function fill(file: string): void {
  const filler = openSync(file, "w");
  for (const size of [65_536, 4096, 512, 1]) {
    try {
      for (;;) writeSync(filler, Buffer.alloc(size));
    } catch {
      // A smaller piece may still find room.
    }
  }
  closeSync(filler);
}

async function serve(home: string, stdout: number | "pipe", workers: number) {
  const folder = join(home, "data");
  const [port, httpPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  await initialise({ ...initialiseDefaults, folder, port, httpPort });
  const file = join(folder, "countersign.yaml");
  const yaml = parse(readFileSync(file, "utf8"));
  Object.assign(yaml["listen"], { host: "127.0.0.1", metricsPort });
  writeFileSync(file, stringify(yaml));
  const root = readFileSync(join(folder, "root.crt"), "utf8");
  const operator = {
    cert: readFileSync(join(folder, "operator.crt"), "utf8"),
    key: readFileSync(join(folder, "operator.key"), "utf8"),
  };
  const child = spawn(
    process.execPath,
    ["src/cli/main.ts", "serve", "--data", folder, "--workers", String(workers)],
    { cwd: repository, stdio: ["ignore", stdout, stdout === "pipe" ? "ignore" : stdout] },
  );
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  cleanUp.push(() => child.kill("SIGKILL") && ended);
  const call = (method: string, path: string, options: CallOptions = {}) =>
    callHttps(`https://localhost:${port}${path}`, method, root, options);
  const isUp = () =>
    call("GET", "/readyz").then(
      (answer) => answer.status === 200,
      () => false,
    );
  await until(isUp, 30);
  return {
    ...{ call, operator, root, child, ended },
    plain: (path: string) =>
      fetch(`http://127.0.0.1:${httpPort}${path}`, { signal: AbortSignal.timeout(5000) }),
    dropped: async () => {
      const answer = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
      const [, count] =
        /^countersign_log_lines_dropped_total (\d+)/m.exec(await answer.text()) ?? [];
      return Number(count);
    },
  };
}

describe.each([1, 2])("a full disk that holds the log of %d process(es)", (workers) => {
  onSmallDisk(
    "drops lines, counts them, and serving goes on",
    async () => {
      const home = smallDisk("6m");
      if (home === undefined) throw new Error("CI must be able to mount a tmpfs");
      const logFile = join(home, "log");
      const log = openSync(logFile, "a");
      const { call, operator, plain, dropped, child, ended } = await serve(home, log, workers);
      const issuer = (await call("GET", "/v1/ca")).json.issuers[0].id;
      expect((await plain(`/crl/${issuer}.crl`)).status).toBe(200);
      const mint = () =>
        call("POST", "/v1/tokens", { as: operator, body: { profile: "client", cn: "web" } });
      fill(join(home, "filler"));

      // Each is a write that cannot be kept, and a line of the log.
      const refused = await Promise.all(Array.from({ length: 20 }, mint));
      expect(new Set(refused.map((one) => one.status))).toEqual(new Set([503]));
      await until(async () => (await dropped()) > 0, 10);
      for (let round = 0; round < 5; round++) {
        expect((await call("GET", "/healthz")).status).toBe(200);
        expect((await plain(`/crl/${issuer}.crl`)).status).toBe(200);
        await mint();
      }

      rmSync(join(home, "filler"));
      await until(async () => (await mint()).status === 201, 20);
      const said = () => readFileSync(logFile, "utf8");
      await until(
        () => /could not be written for a while \(ENOSPC\); lines dropped: \d/.test(said()),
        10,
      );
      // What comes later is in the log: each line of JSON is whole.
      const before = said().split("\n").length;
      child.kill("SIGHUP");
      await until(() => said().includes("the configuration was reloaded"), 10, said);
      expect(said().split("\n").length).toBeGreaterThan(before);
      const notices = said()
        .split("\n")
        .filter((line) => line.includes("lines dropped"));
      for (const line of notices) expect(JSON.parse(line)).toMatchObject({ level: 40 });
      const issued = await call("POST", "/v1/certificates", {
        token: (await mint()).json.token,
        body: makeCsr({ key: newKey(), subject: `${testSubject}/CN=web` }),
        headers: { "content-type": "application/pkcs10" },
      });
      expect(issued.status, issued.text).toBe(201);
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
    },
    90_000,
  );
});

test("a pipe whose reader stands still makes nobody wait", async () => {
  const home = mkdtempSync(join(tmpdir(), "countersign-pipe-"));
  cleanUp.push(() => rmSync(home, { recursive: true, force: true }));
  const fifo = join(home, "fifo");
  execFileSync("mkfifo", [fifo]);
  const reader = openSync(fifo, "r+");
  cleanUp.push(() => closeSync(reader));
  const destination = new LogDestination(reader);
  const line = `${"x".repeat(9999)}\n`;
  for (let count = 0; count < 300; count++) destination.write(line);
  // The pipe holds 64 KiB, and about a megabyte waits.
  await until(() => destination.dropped > 0, 5);
  expect(destination.dropped).toBeLessThan(300);
  // When its reader goes on, it hears what it missed.
  let heard = "";
  const chunk = Buffer.alloc(65_536);
  await until(() => {
    heard += chunk.toString("latin1", 0, readSync(reader, chunk));
    return heard.includes(`lines dropped: ${destination.dropped}`);
  }, 20);
});
