import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { enroll } from "../../../../src/client/enroll.ts";
import { pemBundle, pkcs12Bundle } from "../../../../src/client/identity/bundle.ts";
import type { Identity } from "../../../../src/client/identity/identity.ts";
import { runCountersign } from "../../../helpers/processes.ts";
import { useAuthority } from "../../../helpers/use-authority.ts";

let identity: Identity;
let folder: string;
const authority = useAuthority();
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "countersign-bundle-"));
  const token = await authority.mint({ profile: "peer", cn: "bündel", sans: ["dns:web.internal"] });
  ({ identity } = await enroll({ dir: join(folder, "identity"), token }));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
});

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] }).toString();
const installed = (command: string) =>
  process.env["CI"] === "true" || existsSync(`/usr/bin/${command}`);

describe.each(["p4ssword", 'with space & "quotes"', "pässwörd-€"])(
  "a PKCS#12 under %s",
  (password) => {
    const pass = `pass:${password}`;
    const write = async () => {
      const der = await pkcs12Bundle(identity, password);
      writeFileSync(join(folder, "b.p12"), der);
      writeFileSync(join(folder, "password"), password);
    };

    test("is read by OpenSSL 3 without legacy algorithms, key and three certificates", async () => {
      await write();
      const pem = run("openssl", "pkcs12", "-in", "b.p12", "-passin", pass, "-nodes");
      expect(pem.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
      writeFileSync(join(folder, "out.pem"), pem);
      expect(run("openssl", "pkey", "-in", "out.pem", "-pubout")).toBe(
        run("openssl", "x509", "-in", "identity/certificate.pem", "-noout", "-pubkey"),
      );
      expect(() => run("openssl", "pkcs12", "-in", "b.p12", "-passin", "pass:wrong")).toThrow();
    });

    // Java 17 takes only ASCII passwords for the ciphers of today; the command says so.
    test.skipIf(!installed("keytool") || /[^ -~]/.test(password))(
      "is read by Java's keytool with its whole chain",
      async () => {
        await write();
        const listed = run(
          "keytool",
          "-J-Dfile.encoding=UTF-8",
          "-J-Dsun.jnu.encoding=UTF-8",
          "-list",
          "-v",
          "-storetype",
          "PKCS12",
          "-keystore",
          "b.p12",
          "-storepass:file",
          "password",
        );
        expect(listed).toContain("PrivateKeyEntry");
        expect(listed).toContain("Certificate chain length: 3");
      },
    );

    test.skipIf(!installed("pk12util"))("is imported by NSS, the store of Firefox", async () => {
      await write();
      run("mkdir", "-p", "nss");
      run("certutil", "-N", "-d", "sql:nss", "--empty-password");
      run("pk12util", "-i", "b.p12", "-d", "sql:nss", "-w", "password");
      expect(run("certutil", "-K", "-d", "sql:nss")).toMatch(/ec|rsa/);
      rmSync(join(folder, "nss"), { recursive: true });
    });
  },
);

describe("the PEM bundle", () => {
  test("holds key, certificate and issuers in this order", () => {
    const labels = [...pemBundle(identity).matchAll(/BEGIN ([A-Z ]+)-/g)].map(([, label]) => label);
    expect(labels).toEqual(["PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"]);
  });
});

describe("countersign bundle", () => {
  test("writes a file that only its owner can read, and insists on a password", async () => {
    const bundle = async (...args: string[]) =>
      (await runCountersign(["bundle", "--dir", dir, ...args])).code;
    const dir = join(folder, "identity");
    const out = join(folder, "made.p12");
    expect(await bundle("--format", "p12", "--out", out)).toBe(2);
    writeFileSync(join(folder, "pw"), "secret\n");
    const args = ["--format", "p12", "--out", out, "--password-file", join(folder, "pw")];
    expect(await bundle(...args)).toBe(0);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    run("openssl", "pkcs12", "-in", "made.p12", "-passin", "pass:secret", "-nodes", "-noout");
    expect(await bundle("--out", join(folder, "made.pem"))).toBe(0);
    expect(readFileSync(join(folder, "made.pem"), "utf8")).toBe(pemBundle(identity));
  });
});
