/**
 * The packages as strangers get them: packed from a clone, installed by plain npm into empty
 * folders, and used as the page "mTLS in five minutes" says. The authority of all tests is the
 * installed one.
 */

import { execFile, execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cloneInto } from "../helpers/clone.ts";
import { blocksOf, onFreePorts, runScript } from "../helpers/pages.ts";
import { repository } from "../helpers/processes.ts";
import { testWith } from "../helpers/programs.ts";
import { type Served, serveInstalled } from "../helpers/serve-installed.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-packages-"));
const at = (...parts: string[]) => join(folder, ...parts);
const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
const tarball = (name: string) => at("packed", `${name}-${version}.tgz`);
/** The Node of these tests for every program, the machine's npm, and nothing of the repository. */
const path = [
  dirname(process.execPath),
  ...(process.env["PATH"] ?? "").split(":").filter((one) => !one.includes("node_modules")),
].join(":");
const env = { ...process.env, PATH: path };

/** Why nothing could be installed; undefined when it was. */
let offline: string | undefined;
let served: Served | undefined;
beforeAll(async () => {
  cloneInto(at("clone"));
  symlinkSync(join(repository, "node_modules"), at("clone/node_modules"));
  const packing = [at("clone/scripts/package.ts"), at("packed")];
  execFileSync(process.execPath, packing, { cwd: at("clone"), env, stdio: "pipe" });
  try {
    await install("program", tarball("countersign"));
    // The second name is for services whose imports say `countersign/client`.
    const client = tarball("countersign-client");
    await install("client", client, `countersign@file:${client}`);
  } catch (error) {
    if (process.env["CI"] === "true" || !/ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT/.test(String(error)))
      throw error;
    offline = "npm reaches no registry";
    return;
  }
  served = await serveInstalled(at("program"), env);
}, 240_000);
afterAll(async () => {
  await served?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** `npm install` in an empty folder, as its README would say; npm's cache is used where it can be. */
async function install(name: string, ...packages: string[]): Promise<void> {
  mkdirSync(at(name, "logs"), { recursive: true });
  writeFileSync(at(name, "package.json"), "{}");
  await promisify(execFile)("npm", ["install", "--prefer-offline", ...packages], {
    cwd: at(name),
    env,
  });
}

function filesOf(name: string): string[] {
  return execFileSync("tar", ["-tzf", tarball(name)], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((file) => file.replace(/^package\//, ""));
}

function packagesIn(name: string): string[] {
  return readdirSync(at(name, "node_modules"))
    .filter((one) => !one.startsWith("."))
    .flatMap((one) =>
      one.startsWith("@")
        ? readdirSync(at(name, "node_modules", one)).map((below) => `${one}/${below}`)
        : [one],
    )
    .sort();
}

describe("countersign", () => {
  test("holds the program and the types of its client, and nothing else", () => {
    const files = filesOf("countersign");
    const program = files.filter((file) => /^dist\/(?:src|migrations)\/.*\.js(?:on)?$/.test(file));
    const types = files.filter((file) => file.endsWith(".d.ts"));
    expect(program.length).toBeGreaterThan(200);
    expect(types).toContain("dist/src/client/index.d.ts");
    expect(types.filter((file) => !/^dist\/src\/(?:client|der|x509|refusal)/.test(file))).toEqual(
      [],
    );
    const rest = files.filter((file) => !program.includes(file) && !types.includes(file));
    expect(rest.sort()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "bin/countersign.mjs",
      "countersign.schema.json",
      "openapi/openapi.yaml",
      "package.json",
    ]);
  });

  testWith("nginx", "curl")(
    "installed in an empty folder, it does what the page of five minutes says",
    { timeout: 120_000 },
    async ({ skip }) => {
      if (served === undefined) return skip(offline);
      const script = await onFreePorts(blocksOf("mtls-in-five-minutes.md"), served.port);
      const programs = [at("program/node_modules/.bin"), path];
      const ran = await runScript(script, at("program"), programs);
      expect(ran.status, `${ran.stdout}\n${ran.stderr}`).toBe(0);
    },
  );

  test("the configuration that it wrote names a schema that is there", ({ skip }) => {
    if (served === undefined) return skip(offline);
    const written = readFileSync(at("program/data/countersign.yaml"), "utf8");
    const schema = /\$schema=(\S+)/.exec(written)?.[1] ?? "";
    expect(existsSync(at("program/data", schema)), schema).toBe(true);
  });
});

describe("countersign-client", () => {
  test("brings its few dependencies, and nothing of the authority", ({ skip }) => {
    if (served === undefined) return skip(offline);
    expect(packagesIn("client")).toEqual([
      "@noble/hashes",
      "@peculiar/utils",
      "asn1js",
      "bytestreamjs",
      "countersign",
      "countersign-client",
      "ipaddr.js",
      "pkijs",
    ]);
    const files = filesOf("countersign-client");
    const known = /^(?:LICENSE|README\.md|package\.json|(?:client|der|x509|refusal)[/.].*)$/;
    expect(files.filter((file) => !known.test(file))).toEqual([]);
    expect(files.filter((file) => !/\.js$|\.d\.ts$|^[A-Z]|json$/.test(file))).toEqual([]);
  });

  for (const name of ["countersign-client", "countersign/client"]) {
    testWith("nginx", "curl")(
      `imported as ${name}, it does what the page of five minutes says`,
      { timeout: 120_000 },
      async ({ skip }) => {
        if (served === undefined) return skip(offline);
        const work = at("client", name.replace("/", "-of-"));
        mkdirSync(join(work, "logs"), { recursive: true });
        symlinkSync(at("program/data"), join(work, "data"));
        const page = await onFreePorts(blocksOf("mtls-in-five-minutes.md"), served.port);
        const script = page.replaceAll("countersign/client", name);
        expect(script).toContain(`from "${name}"`);
        // `countersign` is the program of the other folder: this package has none.
        const programs = [at("program/node_modules/.bin"), path];
        const ran = await runScript(script, work, programs);
        expect(ran.status, `${ran.stdout}\n${ran.stderr}`).toBe(0);
      },
    );
  }

  test("CommonJS requires it, enrols with it and gets what ESM gets", async ({ skip }) => {
    if (served === undefined) return skip(offline);
    writeFileSync(
      at("client/token"),
      execFileSync(
        at("program/node_modules/.bin/countersign"),
        ["token", "--profile", "peer", "--cn", "cjs"],
        {
          cwd: at("program"),
          env,
        },
      ),
    );
    writeFileSync(
      at("client/service.cjs"),
      `const { enroll, autoRenew, pkcs12Bundle, loadIdentity } = require("countersign-client");
      (async () => {
        await enroll({ dir: "cjs", token: { file: "token" } });
        const identity = await autoRenew({ dir: "cjs" });
        const state = identity.status().state;
        await identity.close();
        const p12 = await pkcs12Bundle(loadIdentity("cjs"), "secret");
        const same = (await import("countersign-client")).autoRenew === autoRenew;
        console.log(JSON.stringify({ state, same, p12: p12.length > 1000 }));
      })();`,
    );
    const ran = await runScript("node service.cjs", at("client"), [path]);
    expect(ran.stderr).toBe("");
    expect(JSON.parse(ran.stdout)).toEqual({ state: "fine", same: true, p12: true });
  });
});

describe("the types of both packages", () => {
  for (const [project, name, kind] of [
    ["program", "countersign/client", "mts"],
    ["client", "countersign-client", "mts"],
    ["client", "countersign-client", "cts"],
  ] as const) {
    test(`those of ${name} hold in a .${kind} that checks every declaration`, ({ skip }) => {
      if (served === undefined) return skip(offline);
      const folderOfTypes = at(project, kind);
      mkdirSync(folderOfTypes, { recursive: true });
      writeFileSync(
        join(folderOfTypes, `service.${kind}`),
        `import { autoRenew, type LiveStatus, revocationGuard } from "${name}";
      export async function start(): Promise<LiveStatus> {
        const identity = await autoRenew({ dir: "identity", token: { file: "token" } });
        revocationGuard({ ca: () => identity.trust, whenUnknown: "deny" });
        // @ts-expect-error: the types are there, not any
        identity.status().renewals satisfies string;
        return identity.status();
      }`,
      );
      const options = {
        module: "nodenext",
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        types: ["node"],
        typeRoots: [join(repository, "node_modules/@types")],
        lib: ["es2024"],
      };
      const settings = { compilerOptions: options, files: [`service.${kind}`] };
      writeFileSync(join(folderOfTypes, "tsconfig.json"), JSON.stringify(settings));
      const tsc = join(repository, "node_modules/typescript/bin/tsc");
      const ran = spawnSync(process.execPath, [tsc, "-p", folderOfTypes], { encoding: "utf8" });
      expect(ran.stdout + ran.stderr).toBe("");
      expect(ran.status).toBe(0);
    });
  }
});
