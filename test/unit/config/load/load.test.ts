import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { describeConfig, loadConfig } from "../../../../src/config/load/load.ts";

const vectors = join(import.meta.dirname, "../../../vectors/config");
const least = { COUNTERSIGN_NAME: "Test CA", COUNTERSIGN_PUBLIC_URL: "https://ca.example.test" };

function folder(yaml?: string): string {
  const dataDir = mkdtempSync(join(tmpdir(), "countersign-config-"));
  if (yaml !== undefined) {
    writeFileSync(join(dataDir, "countersign.yaml"), yaml);
  }
  return dataDir;
}

function load(
  options: { yaml?: string; env?: Record<string, string>; flags?: Record<string, string> } = {},
) {
  const dataDir = folder(options.yaml);
  const env = options.yaml === undefined ? { ...least, ...options.env } : (options.env ?? {});
  const loaded = loadConfig({ dataDir, env, flags: options.flags ?? {} });
  if (!loaded.ok) {
    throw new Error(loaded.refusal.violations?.map(({ message }) => message).join("\n"));
  }
  return loaded.value;
}

function problems(
  options: { yaml?: string; env?: Record<string, string>; flags?: Record<string, string> } = {},
): string {
  const dataDir = folder(options.yaml);
  const env = options.yaml === undefined ? { ...least, ...options.env } : (options.env ?? {});
  const loaded = loadConfig({ dataDir, env, flags: options.flags ?? {} });
  const messages = loaded.ok
    ? []
    : (loaded.refusal.violations?.map(({ message }) => message) ?? []);
  return messages.join("\n").replaceAll(`${dataDir}/`, "");
}

describe("wrong files are refused with every problem, its line and what was expected", () => {
  for (const name of readdirSync(vectors).filter((file) => file.endsWith(".yaml"))) {
    it(name, () => {
      const expected = readFileSync(join(vectors, name.replace(/yaml$/, "txt")), "utf8").trimEnd();
      expect(problems({ yaml: readFileSync(join(vectors, name), "utf8") })).toBe(expected);
    });
  }
});

describe("precedence", () => {
  const yaml = "name: File CA\npublicUrl: https://file.test\nlisten: { port: 1 }\n";

  it("is defaults, file, environment, flags", () => {
    expect(load({ yaml: yaml.replace(/listen.*/, "") }).values.listen.port).toBe(8443);
    expect(load({ yaml }).values.listen.port).toBe(1);
    const env = { COUNTERSIGN_LISTEN_PORT: "2" };
    expect(load({ yaml, env }).values.listen.port).toBe(2);
    expect(load({ yaml, env, flags: { "listen.port": "3" } }).values.listen.port).toBe(3);
  });

  it("remembers where each value came from", () => {
    const loaded = load({
      yaml,
      env: { COUNTERSIGN_TOKENS_TTL: "5m", COUNTERSIGN_LISTEN_HOST: "::" },
      flags: { "listen.host": "::1" },
    });
    const origins = new Map(describeConfig(loaded).map(({ key, origin }) => [key, origin]));
    expect(origins.get("listen.port")).toMatch(/countersign\.yaml:3$/);
    expect(origins.get("tokens.ttl")).toBe("COUNTERSIGN_TOKENS_TTL");
    expect(origins.get("listen.host")).toBe("--set listen.host");
    expect(origins.get("log.level")).toBe("default");
  });

  it("overrides one key of a profile without losing the others", () => {
    const { profiles } = load({ env: { COUNTERSIGN_PROFILES_CLIENT_VALIDITY: "5m" } }).values;
    expect(profiles["client"]?.validity).toBe(300);
    expect(Object.keys(profiles)).toEqual(["client", "server", "peer", "operator"]);
  });

  it("takes a name that looks like a number as the text it is", () => {
    expect(load({ env: { COUNTERSIGN_NAME: "1.20" } }).values.name).toBe("1.20");
  });

  it("reads lists and maps as YAML", () => {
    const { policy } = load({
      env: { COUNTERSIGN_POLICY_SUBJECT_ALT_NAME_DNS: '[".a.test", b.test]' },
    }).values;
    expect(policy).toMatchObject({ subjectAltName: { dns: [".a.test", "b.test"] } });
  });

  it("does not write an override into the defaults of the next configuration", () => {
    load({ env: { COUNTERSIGN_PROFILES_CLIENT_VALIDITY: "5m" } });
    expect(load().values.profiles["client"]?.validity).toBe(30 * 86_400);
  });
});

describe("names that mean nothing", () => {
  it("are refused in the environment, with the near one", () => {
    expect(problems({ env: { COUNTERSIGN_LISTEN_PROT: "1" } })).toBe(
      "COUNTERSIGN_LISTEN_PROT: got a name that stands for no key, expected a key of the configuration; did you mean COUNTERSIGN_LISTEN_PORT?",
    );
  });

  it("are refused as flags, with the near one", () => {
    expect(problems({ flags: { "listen.prot": "1" } })).toContain("did you mean listen.port?");
  });

  it("are refused where they stand for two keys", () => {
    const profile = "{ extendedKeyUsage: [clientAuth], validity: 1d }";
    const env = {
      COUNTERSIGN_PROFILES: `{ web: ${profile}, web-keys: ${profile} }`,
      COUNTERSIGN_PROFILES_WEB_KEYS: "{ rsa: false }",
    };
    const yaml = `name: x\npublicUrl: https://x.test\nprofiles: ${env.COUNTERSIGN_PROFILES}\n`;
    expect(problems({ yaml, env })).toContain("stands for profiles.web.keys and profiles.web-keys");
  });

  it("are not the programs' own variables, nor those of Kubernetes, nor those of secrets", () => {
    const env = {
      COUNTERSIGN_DATA: "x",
      COUNTERSIGN_TOKEN: "x",
      COUNTERSIGN_TEST_LONG: "1",
      COUNTERSIGN_SERVICE_HOST: "10.0.0.1",
      COUNTERSIGN_PORT_8443_TCP_ADDR: "10.0.0.1",
      COUNTERSIGN_ISSUER_PASSPHRASE: "{ env: COUNTERSIGN_PIN }",
      COUNTERSIGN_PIN: "1234",
    };
    expect(problems({ env })).toBe("");
  });
});

describe("values", () => {
  it("are paths below the data folder, made absolute", () => {
    const { dataDir, values } = load({ env: { COUNTERSIGN_ISSUER_KEY: "/keys/a.key" } });
    expect(values.rootCertificate).toBe(join(dataDir, "root.crt"));
    expect(values.issuer.key).toBe("/keys/a.key");
    expect(values.database.reveal()).toBe(`sqlite:${join(dataDir, "countersign.db")}`);
  });

  it("keep the order in which the policy names attributes", () => {
    const { policy } = load({
      env: { COUNTERSIGN_POLICY_SUBJECT: "{ commonName: supplied, 2.5.4.10: match }" },
    }).values;
    expect(policy !== "anything" && Object.keys(policy.subject)).toEqual([
      "commonName",
      "2.5.4.10",
    ]);
  });

  it("switch the plain listener off with false or nothing", () => {
    expect(load({ flags: { "listen.httpPort": "false" } }).values.listen.httpPort).toBe(false);
    expect(load({ flags: { "listen.httpPort": "" } }).values.listen.httpPort).toBe(false);
  });
});

describe("secrets", () => {
  it("never show, however they are printed, and are known to who asks", () => {
    const loaded = load({
      env: {
        COUNTERSIGN_ISSUER_PASSPHRASE: "hunter2",
        COUNTERSIGN_DATABASE: "postgres://u:hunter2@db/x?password=hunter2",
      },
    });
    const printed = [
      inspect(loaded, { depth: 9, showHidden: true }),
      JSON.stringify(loaded),
      `${loaded.values.issuer.passphrase} ${loaded.values.database}`,
      JSON.stringify(describeConfig(loaded)),
    ];
    expect(printed.join()).not.toContain("hunter2");
    expect(String(loaded.values.database)).toBe("postgres://u:***@db/x?password=***");
    expect(loaded.values.issuer.passphrase?.reveal()).toBe("hunter2");
  });

  it("are not repeated in an error", () => {
    expect(problems({ env: { COUNTERSIGN_DATABASE: "mysql://u:hunter2@db/x" } })).not.toContain(
      "hunter2",
    );
  });

  it("come from a file without its last line break, or from a variable", () => {
    const loaded = load({ env: { COUNTERSIGN_ISSUER_PASSPHRASE: "{ file: pass.txt }" } });
    writeFileSync(join(loaded.dataDir, "pass.txt"), "two words\n");
    expect(loaded.values.issuer.passphrase?.reveal()).toBe("two words");
    const fromVariable = load({
      env: { COUNTERSIGN_DATABASE: "{ env: DATABASE_URL }", DATABASE_URL: "sqlite:other.db" },
    });
    expect(fromVariable.values.database.reveal()).toBe(
      `sqlite:${join(fromVariable.dataDir, "other.db")}`,
    );
  });
});
