import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type DefaultFile, renderDefaultConfig } from "../../../src/config/default-file.ts";
import { loadConfig } from "../../../src/config/load/load.ts";

const options: DefaultFile = {
  name: 'Example "Internal" CA: #1',
  publicUrl: "https://ca.example.test:8443",
  publicHttpUrl: "http://ca.example.test:8080",
  hosts: ["localhost", "127.0.0.1", "::1", "build-7", "build-7", "203.0.113.9", "ca.example.test"],
  attributes: ["countryName", "stateOrProvinceName", "organizationName", "commonName"],
};

function load(changes: Partial<DefaultFile> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), "countersign-config-"));
  writeFileSync(join(dataDir, "countersign.yaml"), renderDefaultConfig({ ...options, ...changes }));
  const loaded = loadConfig({ dataDir, env: {}, flags: {} });
  expect(loaded).toMatchObject({ ok: true });
  return loaded.ok ? loaded.value.values : undefined;
}

describe("the first configuration", () => {
  it("loads as it is written, whatever the name holds", () => {
    expect(load()?.name).toBe(options.name);
  });

  it("lets the service's own names be certified, each once", () => {
    expect(load()?.policy).toMatchObject({
      subjectAltName: {
        dns: [".example.test", ".internal", "localhost", "build-7"],
        ip: expect.arrayContaining(["::1/128", "203.0.113.9"]) as string[],
      },
    });
    expect(load()?.policy).not.toMatchObject({
      subjectAltName: { ip: expect.arrayContaining(["127.0.0.1"]) as string[] },
    });
  });

  it("asks only for what the authority's own subject has to match", () => {
    expect(load({ attributes: ["organizationName"] })?.policy).toMatchObject({
      subject: {
        countryName: "optional",
        stateOrProvinceName: "optional",
        organizationName: "match",
        organizationalUnitName: "optional",
        commonName: "supplied",
        emailAddress: "optional",
      },
    });
  });

  it("says the same as the defaults where it names them", () => {
    const dataDir = mkdtempSync(join(tmpdir(), "countersign-config-"));
    const env = { COUNTERSIGN_NAME: "x", COUNTERSIGN_PUBLIC_URL: "https://x" };
    const defaults = loadConfig({ dataDir, env, flags: {} });
    const written = load();
    expect(defaults.ok && defaults.value.values.profiles).toEqual(written?.profiles);
    expect(defaults.ok && defaults.value.values.listen).toEqual(written?.listen);
  });

  it("listens where it was asked to", () => {
    const listen = { host: "127.0.0.1", port: 9443, httpPort: false } as const;
    expect(load({ listen })?.listen).toMatchObject(listen);
  });
});
