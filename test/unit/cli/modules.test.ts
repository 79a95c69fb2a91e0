import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initialise } from "../../../src/ceremony/found.ts";
import { initialiseDefaults } from "../../../src/ceremony/founding.ts";
import { startAuthority, type TestAuthority } from "../../helpers/authority.ts";
import { type BuiltProgram, buildProgram, recordingModules } from "../../helpers/built-program.ts";
import { freePort } from "../../helpers/free-port.ts";
import { identityFolder } from "../../helpers/identity-folder.ts";
import { until } from "../../helpers/node-services.ts";
import { start } from "../../helpers/processes.ts";

let program: BuiltProgram;
let authority: TestAuthority;
beforeAll(async () => {
  program = buildProgram();
  authority = await startAuthority();
}, 120_000);
afterAll(async () => {
  await authority.stop();
  program.remove();
});

/** Packages of a service, a store or a ceremony. */
const heavy = /node_modules\/(fastify|kysely|pg|better-sqlite3|@peculiar\/x509)\//;
const terms = { profile: "peer", cn: "web", sans: ["dns:web.example.test"] };
const enrolled = async () => {
  const dir = identityFolder();
  const token = await authority.mint(terms);
  expect((await run(["enroll", "--out", dir, "--token", token])).code).toBe(0);
  return dir;
};

/** Runs a command to its end; gives its exit code and every file that it loaded. */
async function run(args: readonly string[]) {
  const { options, loaded } = recordingModules();
  const { child, text } = start(process.execPath, [...options, program.main, ...args]);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, loaded: loaded(), said: text() };
}

describe("a command loads what it runs", () => {
  test.each<[string, () => string[] | Promise<string[]>]>([
    ["--version", () => ["--version"]],
    ["token", () => ["token", "--data", authority.folder, "--profile", "peer", "--cn", "web"]],
    ["lint", () => ["lint", join(authority.folder, "root.crt")]],
    ["status", async () => ["status", "--dir", await enrolled()]],
    [
      "enroll",
      async () => ["enroll", "--out", identityFolder(), "--token", await authority.mint(terms)],
    ],
    ["renew", async () => ["renew", "--force", "--dir", await enrolled()]],
  ])("%s: under 200 modules, no server, no store, no ceremony", async (_name, args) => {
    const { code, loaded, said } = await run(await args());
    expect(code, said).toBe(0);
    expect(loaded.length).toBeGreaterThan(5);
    expect(loaded.length).toBeLessThan(200);
    expect(loaded.filter((url) => heavy.test(url))).toEqual([]);
  });

  test("what is counted are files of both kinds of modules: doctor opens the store", async () => {
    const { loaded, said } = await run(["doctor", "--data", authority.folder]);
    expect(said).toContain("verify to the issuer");
    const packages = loaded.map((url) => /node_modules\/([\w.-]+)\//.exec(url)?.[1]);
    expect(new Set(packages)).toEqual(new Set([...packages, "kysely", "better-sqlite3"]));
    expect(loaded.length).toBeGreaterThan(200);
  });

  test("a command without its folder opens only commander and its own room", async () => {
    const { loaded } = await run(["--version"]);
    const packages = loaded.flatMap((url) => /node_modules\/([\w.-]+)\//.exec(url)?.[1] ?? []);
    expect([...new Set(packages)]).toEqual(["commander"]);
  });
});

test("a service never loads what ceremonies need", async () => {
  const folder = identityFolder();
  await initialise({ ...initialiseDefaults, folder });
  const { options, loaded } = recordingModules();
  const [port, httpPort] = [await freePort(), await freePort()];
  const settings = [
    `publicUrl=https://localhost:${port}`,
    `listen.port=${port}`,
    `listen.httpPort=${httpPort}`,
  ];
  const flags = settings.flatMap((setting) => ["--set", setting]);
  const command = [...options, program.main, "serve", "--data", folder, ...flags];
  const service = start(process.execPath, command);
  await until(() => service.text().includes("openssl verify"), 60, service.text);
  await service.stop();
  const packages = loaded().flatMap((url) => /node_modules\/([@\w./-]+?)\//.exec(url)?.[1] ?? []);
  expect(packages).toContain("fastify");
  const ceremonial = ["@peculiar", "reflect-metadata", "pkijs", "asn1js"];
  expect(packages.filter((name) => ceremonial.includes(name))).toEqual([]);
});

test("renew --daemon stays under 75 MB", async () => {
  const dir = await enrolled();
  const daemon = start(process.execPath, [program.main, "renew", "--daemon", "--dir", dir]);
  await until(() => existsSync(join(dir, "status.json")), 60, daemon.text);
  const status = readFileSync(`/proc/${daemon.child.pid}/status`, "utf8");
  const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  expect(resident).toBeGreaterThan(10_000);
  expect(resident).toBeLessThan(75_000);
});
