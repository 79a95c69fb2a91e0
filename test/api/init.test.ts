import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../helpers/free-port.ts";

const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const base = mkdtempSync(join(tmpdir(), "init-"));

function countersign(...args: string[]) {
  return spawnSync(process.execPath, [main, ...args], {
    cwd: base,
    encoding: "utf8",
    timeout: 20_000,
  });
}
const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { cwd: base, encoding: "utf8" });

describe("countersign init", () => {
  test.each(["P-256", "P-384", "P-521", "RSA-2048", "Ed25519"])(
    "makes an authority with %s keys that openssl accepts",
    (type) => {
      const data = `data-${type}`;
      const made = countersign(
        "init",
        "--data",
        data,
        "--key-type",
        type,
        "--name",
        "Test CA",
        "--subject",
        "/C=DE/O=Test",
        "--validity",
        "5y",
        "--dns",
        "ca.example.test",
      );
      expect(made.status, made.stderr).toBe(0);
      expect(
        openssl("verify", "-x509_strict", "-CAfile", `${data}/root.crt`, `${data}/issuing.crt`),
      ).toContain("OK");
      expect(
        openssl(
          "verify",
          "-x509_strict",
          "-CAfile",
          `${data}/root.crt`,
          "-untrusted",
          `${data}/issuing.crt`,
          "-purpose",
          "sslclient",
          `${data}/operator.crt`,
        ),
      ).toContain("OK");
      const text = openssl("x509", "-in", `${data}/issuing.crt`, "-noout", "-text");
      expect(text).toContain("pathlen:0");
      expect(text).toContain("Subject: C = DE, O = Test, CN = Test CA");
      expect(readFileSync(join(base, data, "countersign.yaml"), "utf8")).toContain(
        "https://ca.example.test:8443",
      );
      const password = /operator\.p12, password ([0-9a-z-]{29}) /.exec(made.stdout)?.[1];
      expect(
        openssl("pkcs12", "-in", `${data}/operator.p12`, "-passin", `pass:${password}`, "-nodes"),
      ).toContain("BEGIN PRIVATE KEY");
    },
  );

  test("keys are 0600 in a 0700 folder, and encrypted with a passphrase; the root key can go elsewhere", () => {
    writeFileSync(join(base, "pass"), "correct horse\n");
    const made = countersign(
      "init",
      "--data",
      "secret",
      "--passphrase-file",
      "pass",
      "--root-key-out",
      "offline-root.key",
    );
    expect(made.status, made.stderr).toBe(0);
    const folder = join(base, "secret");
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const keys = readdirSync(folder).filter((name) => /\.(key|p12|db)$|server.pem/.test(name));
    expect(keys).not.toContain("root.key");
    for (const name of [...keys.map((key) => join(folder, key)), join(base, "offline-root.key")]) {
      expect([name, statSync(name).mode & 0o777]).toEqual([name, 0o600]);
      if (name.endsWith(".key")) {
        const pem = readFileSync(name, "utf8");
        expect(pem).toContain("ENCRYPTED");
        expect(createPrivateKey({ key: pem, passphrase: "correct horse" }).type).toBe("private");
      }
    }
    // The root's key is gone, and its list is there for as long as the issuing certificate lives.
    const list = openssl(
      "crl",
      "-inform",
      "der",
      "-in",
      "secret/root.crl",
      "-noout",
      "-nextupdate",
    );
    const end = openssl("x509", "-in", "secret/issuing.crt", "-noout", "-enddate");
    expect(list.trim().split("=")[1]).toBe(end.trim().split("=")[1]);
    const token = countersign("token", "--data", "secret", "--profile", "server", "--cn", "x");
    expect(token.stdout.split(".")).toHaveLength(3);
  });

  test("the issuing certificate names the root's list and certificate where the service will be", () => {
    const shown = (data: string) =>
      openssl(
        ...["x509", "-in", `${data}/issuing.crt`, "-noout"],
        ...["-ext", "crlDistributionPoints,authorityInfoAccess"],
      );
    const flags = ["--dns", "ca.example.test", "--http-port", "80"];
    expect(countersign("init", "--data", "named", ...flags).status).toBe(0);
    expect(shown("named")).toMatch(/URI:http:\/\/ca\.example\.test\/crl\/[0-9a-f]{16}\.crl\n/);
    expect(shown("named")).toMatch(
      /CA Issuers - URI:http:\/\/ca\.example\.test\/issuers\/[0-9a-f]{16}\.crt\n/,
    );
    const environment = { ...process.env, COUNTERSIGN_PUBLIC_HTTP_URL: "http://pki.example.test" };
    const made = spawnSync(process.execPath, [main, "init", "--data", "set"], {
      ...{ cwd: base, env: environment, timeout: 20_000 },
    });
    expect(made.status).toBe(0);
    expect(shown("set")).toContain("URI:http://pki.example.test/crl/");
  });

  test("a second init changes nothing, and never overwrites a key", () => {
    countersign("init", "--data", "twice");
    const before = readFileSync(join(base, "twice", "issuing.key"), "utf8");
    const again = countersign("init", "--data", "twice");
    expect([again.status, again.stderr]).toEqual([
      3,
      expect.stringContaining("nothing was changed"),
    ]);
    expect(readFileSync(join(base, "twice", "issuing.key"), "utf8")).toBe(before);
  });

  test("wrong flags are told with what there is", () => {
    expect(countersign("init", "--key-type", "DSA").stderr).toContain("P-256, P-384");
    expect(countersign("init", "--data", "wrong", "--subject", "/XX=1").stderr).toContain("XX");
    expect(existsSync(join(base, "wrong"))).toBe(false);
    expect(countersign("nonsense").status).toBe(2);
  });

  test("an interrupted first start is named at the next, at whatever moment it died", async () => {
    for (const wait of [120, 350, 500]) {
      const data = join(base, `killed-${wait}`);
      const child = spawn(
        process.execPath,
        [main, "init", "--data", data, "--key-type", "RSA-2048"],
        { stdio: "ignore" },
      );
      await new Promise((resolve) => setTimeout(resolve, wait));
      child.kill("SIGKILL");
      await new Promise((resolve) => child.on("exit", resolve));
      const next = countersign("init", "--data", data);
      const whole = !existsSync(join(data, ".creating"));
      if (whole) continue;
      expect([next.status, next.stderr]).toEqual([
        3,
        expect.stringContaining("interrupted first start"),
      ]);
    }
    const half = join(base, "half");
    countersign("init", "--data", half);
    writeFileSync(join(half, ".creating"), "");
    const served = countersign("serve", "--data", half);
    expect([served.status, served.stderr]).toEqual([
      3,
      expect.stringContaining("interrupted first start"),
    ]);
  });
});

describe("countersign serve", () => {
  test("refuses a policy that wants a match on what the CA lacks, in openssl's words", async () => {
    countersign(
      "init",
      "--data",
      "nomatch",
      "--subject",
      "/O=Only",
      "--port",
      String(await freePort()),
    );
    const file = join(base, "nomatch", "countersign.yaml");
    writeFileSync(
      file,
      readFileSync(file, "utf8").replace("countryName: optional", "countryName: match"),
    );
    const served = countersign("serve", "--data", "nomatch");
    expect(served.stderr).toContain(
      "The countryName field does not exist in the CA certificate, the 'policy' is misconfigured",
    );
    expect(served.status).toBe(3);
  });

  test.each([
    [
      "another key",
      "issuing.key",
      () => openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
      "does not belong",
    ],
    ["a key that is not a key", "issuing.key", () => "nonsense", "no readable private key"],
    ["no root", "root.crt", () => "", "holds no PEM block CERTIFICATE"],
  ])("says in one sentence that it has %s", async (_name, file, content, words) => {
    const data = `broken-${file}-${words.length}`;
    countersign("init", "--data", data);
    writeFileSync(join(base, data, file), content());
    const served = countersign("serve", "--data", data);
    expect([served.status, served.stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining(words),
    ]);
    expect(served.status).not.toBe(0);
    expect(served.stderr).not.toMatch(/\n\s+at /);
  });
});
