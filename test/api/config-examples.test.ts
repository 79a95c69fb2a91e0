/** Every example of docs/reference/configuration.md, tried on a real authority. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { initialise } from "../../src/ceremony/found.ts";
import { initialiseDefaults } from "../../src/ceremony/founding.ts";
import { type CompiledConfig, compileConfig } from "../../src/config/compile.ts";
import { loadConfig } from "../../src/config/load/load.ts";
import { openAuthority } from "../../src/config/open-authority.ts";
import { ownHosts } from "../../src/config/own-hosts.ts";
import { isPlainMap, mapForm, recordOf, type SchemaNode } from "../../src/config/schema/node.ts";
import { configSchema } from "../../src/config/schema/schema.ts";
import { startService } from "../../src/server/service.ts";
import { callHttps, checkAuthority } from "../helpers/authority.ts";
import { freePort } from "../helpers/free-port.ts";
import { startPostgres, type TestPostgres } from "../helpers/postgres.ts";

interface Example {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

/** Which member stands for all of a map with free keys. */
const members: Readonly<Record<string, string>> = { profiles: "peer", subject: "countryName" };
const passphrase = "an example's passphrase";

function examplesOf(node: SchemaNode, path: Example["path"] = []): Example[] {
  const map = mapForm(node);
  const record = recordOf(map);
  const member = members[String(path.at(-1))];
  if (record !== undefined && member === undefined) throw new Error(`${path} needs a member`);
  return [
    ...(node.examples ?? []).map((value) => ({ path, value })),
    ...Object.entries(map.properties ?? {}).flatMap(([key, below]) =>
      examplesOf(below, [...path, key]),
    ),
    ...(record ? examplesOf(record.value, [...path, String(member)]) : []),
    ...(node.items ? examplesOf(node.items, [...path, 0]) : []),
  ];
}

const examples = examplesOf(configSchema);

/** The first example of a place that is a map or a list: what its parts are set into. */
function placeFor(path: Example["path"]): unknown {
  const found = examples.find(
    (one) => one.path.join(".") === path.join(".") && typeof one.value === "object",
  );
  return structuredClone(found?.value ?? {});
}

// biome-ignore lint/suspicious/noExplicitAny: a configuration of every shape
type Yaml = any;

function setExample(yaml: Yaml, { path, value }: Example): void {
  // A profile tightens: what it names stands in the policy first.
  const [top, , ...rest] = path;
  if (top === "profiles" && rest[0] === "subjectAltName") {
    setExample(yaml, { path: ["policy", ...rest], value });
  }
  let at = yaml;
  for (const [depth, step] of path.slice(0, -1).entries()) {
    if (!isPlainMap(at[step]) && !Array.isArray(at[step])) {
      at[step] = placeFor(path.slice(0, depth + 1));
    }
    at = at[step];
  }
  const last = path.at(-1) ?? "";
  // The keys of this test's authority are encrypted, whatever else of `issuer` is an example.
  at[last] =
    path.length === 1 && last === "issuer"
      ? { ...at[last], ...(value as object) }
      : structuredClone(value);
}

function writeFiles(folder: string): void {
  writeFileSync(join(folder, "passphrase.txt"), `${passphrase}\n`);
  writeFileSync(join(folder, "blocked-keys.txt"), `${"ab".repeat(32)}\n`);
  writeFileSync(join(folder, "cluster-jwks.json"), '{"keys":[]}\n');
}

/** An issuing key of RSA signs with each algorithm of the examples; all keys are encrypted. */
const created = {
  keyType: "RSA-3072",
  passphrase,
  name: "/C=IN/ST=Karnataka/O=Example",
} as const;

type Parts = { readonly folder: string; readonly base: string };

/** The configuration of the folder with these examples set, as `serve` would have it. */
function compile({ folder, base }: Parts, put: (yaml: Yaml) => void): CompiledConfig {
  const yaml = parse(base);
  put(yaml);
  writeFileSync(join(folder, "countersign.yaml"), stringify(yaml));
  const env = { CA_PASSPHRASE: passphrase };
  const loaded = loadConfig({ dataDir: folder, env, flags: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.refusal));
  const compiled = compileConfig(loaded.value);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.refusal));
  return compiled.value;
}

describe("every example of the configuration reference", () => {
  const folder = join(mkdtempSync(join(tmpdir(), "countersign-examples-")), "data");
  let base: string;
  let postgres: TestPostgres;

  beforeAll(async () => {
    const passphraseFile = join(folder, "..", "passphrase.txt");
    writeFileSync(passphraseFile, passphrase);
    await initialise({ ...initialiseDefaults, folder, ...created, passphraseFile });
    writeFiles(folder);
    base = readFileSync(join(folder, "countersign.yaml"), "utf8");
    postgres = await startPostgres();
  }, 120_000);
  afterAll(async () => {
    await postgres?.remove();
    rmSync(join(folder, ".."), { recursive: true, force: true });
  });

  it("is found by the walk", () => {
    const page = join(import.meta.dirname, "../../docs/reference/configuration.md");
    const keys = [...readFileSync(page, "utf8").matchAll(/^\*\*`(.+?)`\*\*/gm)];
    const walked = new Set(
      examples.map(({ path }) =>
        path
          .join(".")
          .replace(/^profiles\.peer/, "profiles.<name>")
          .replaceAll(".0", ".<n>"),
      ),
    );
    expect(keys.map(([, key = ""]) => key).filter((key) => !walked.has(key))).toEqual([]);
    expect(keys.length).toBeGreaterThan(80);
  });

  const named = examples.map((one): [string, Example] => [
    `${one.path.join(".")}: ${JSON.stringify(one.value)}`,
    one,
  ]);
  it.each(named)("opens the authority: %s", async (_name, example) => {
    let config = compile({ folder, base }, (yaml) => setExample(yaml, example));
    if (config.database.reveal().startsWith("postgres:")) {
      // The host of the example does not exist: this test's server stands in for it.
      const value = await postgres.database("countersign");
      config = compile({ folder, base }, (yaml) => setExample(yaml, { ...example, value }));
    }
    const opened = await openAuthority(config, { exclusive: false, alarm: () => {} });
    const [profile] = config.profiles.keys();
    expect(opened.authority.profiles.has(profile ?? "")).toBe(true);
    await opened.store.close();
  });

  const places = Map.groupBy(examples, ({ path }) => path.join("."));
  it.each([0, 1])(
    "fits with the others: the service starts with number %i of each",
    async (turn) => {
      // A part comes after its whole, so that it is not overwritten.
      const chosen = [...places.values()]
        .flatMap((all) => all[turn] ?? [])
        .toSorted((a, b) => a.path.length - b.path.length);
      const plain = await freePort();
      const listen = { host: "127.0.0.1", port: await freePort(), metricsPort: await freePort() };
      const config = compile({ folder, base }, (yaml) => {
        for (const example of chosen) setExample(yaml, example);
        yaml.database = "sqlite:countersign.db";
        yaml.listen = { ...yaml.listen, ...listen, httpPort: yaml.listen.httpPort && plain };
      });
      let log = "";
      const sink = {
        write: (line: string) => {
          log += line;
        },
      };
      const service = await startService({ config, hosts: ownHosts([]), log: pino(sink) });
      try {
        const answer = await callHttps(
          `https://localhost:${listen.port}/readyz`,
          "GET",
          readFileSync(join(folder, "root.crt"), "utf8"),
          { tls: operator(folder) },
        );
        expect([answer.status, log]).toEqual([200, expect.not.stringContaining('"level":50')]);
        await checkAuthority(service);
      } finally {
        await service.stop();
      }
    },
  );
});

/** Where `requireClientCertificate` is the example, nobody else is let in. */
function operator(folder: string) {
  const [cert, key] = ["operator.crt", "operator.key"].map((name) =>
    readFileSync(join(folder, name)),
  );
  return { cert, key, passphrase };
}
