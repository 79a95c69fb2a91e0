import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { nameOnlyPem } from "../../../../src/x509/certificate/name-only.ts";
import { parseCertificateChain } from "../../../../src/x509/certificate/read.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-name-only-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { cwd: folder, encoding: "utf8", stdio: "pipe" });

test.each([
  ["EC", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]],
  ["RSA", ["-newkey", "rsa:2048"]],
  ["Ed25519", ["-newkey", "ed25519"]],
])(
  "a name-only certificate of an %s CA has its name, and vouches for nothing that it signed",
  (_kind, key) => {
    const subject = "/C=IN/O=Käse & Söhne/CN=Example Internal CA";
    openssl(
      "req",
      "-x509",
      ...key,
      "-nodes",
      "-utf8",
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-subj",
      subject,
    );
    openssl(
      "req",
      "-new",
      ...key,
      "-nodes",
      "-keyout",
      "leaf.key",
      "-out",
      "leaf.csr",
      "-subj",
      "/CN=leaf",
    );
    openssl(
      "x509",
      "-req",
      "-in",
      "leaf.csr",
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-out",
      "leaf.crt",
    );
    expect(openssl("verify", "-CAfile", "ca.crt", "leaf.crt")).toContain("OK");

    const chain = parseCertificateChain(readFileSync(join(folder, "ca.crt"), "utf8"));
    if (!chain.ok || !chain.value[0]) throw new Error("no CA");
    writeFileSync(join(folder, "name.crt"), nameOnlyPem(chain.value[0]));
    const nameOf = (file: string) =>
      openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb", "-in", file);
    expect(nameOf("name.crt")).toBe(nameOf("ca.crt"));
    expect(openssl("x509", "-noout", "-text", "-in", "name.crt")).toMatch(/X25519[\s\S]*CA:FALSE/);
    const verified = spawnSync(
      "openssl",
      ["verify", "-partial_chain", "-trusted", "name.crt", "leaf.crt"],
      {
        cwd: folder,
        encoding: "utf8",
      },
    );
    expect(verified.status).not.toBe(0);
    // Not "signature failure": OpenSSL does not even try it.
    expect(verified.stderr).toContain("unable to get local issuer certificate");
  },
);
