import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Templates } from "../../src/authority/templates.ts";
import type { CertificatePlan } from "../../src/policy/decide.ts";
import { publicKeyOf } from "../../src/x509/key/read-public.ts";
import { makeName } from "../../src/x509/name/read.ts";
import { newKey } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const folder = mkdtempSync(join(tmpdir(), "lint-"));
const authority = useAuthority();

const lint = (...args: string[]) =>
  spawnSync(
    process.execPath,
    [new URL("../../src/cli/main.ts", import.meta.url).pathname, "lint", ...args],
    { encoding: "utf8", cwd: folder, timeout: 20_000 },
  );

describe("countersign lint", () => {
  test("finds no error in what this authority makes: root, issuing, server, operator", async () => {
    const holder = await authority.enrol({
      profile: "server",
      cn: "web",
      sans: ["dns:web.example.test"],
    });
    writeFileSync(join(folder, "web.crt"), holder.cert);
    const files = ["root.crt", "chain.pem", "operator.crt"].map((name) =>
      join(authority.folder, name),
    );
    const { stdout, status } = lint("web.crt", ...files);
    expect([status, stdout]).toEqual([0, expect.stringContaining("no error")]);
  });

  test("names what is wrong with another's, by stable ids, and exits 1", () => {
    spawnSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "rsa:1024",
        "-nodes",
        "-keyout",
        "k.pem",
        "-out",
        "bad.pem",
        "-subj",
        "/C=DE/CN=x",
        "-addext",
        "basicConstraints=CA:TRUE",
        "-addext",
        "keyUsage=digitalSignature",
      ],
      { cwd: folder },
    );
    const { stdout, status } = lint("--json", "bad.pem");
    const found = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(status).toBe(1);
    expect(found.length).toBeGreaterThan(1);
    for (const one of found)
      expect(one).toMatchObject({
        file: "bad.pem",
        number: 1,
        id: expect.stringMatching(/^[ewn]_/),
      });
    expect(lint("missing.pem").status).toBe(1);
  });
});

describe("the same rules before signing", () => {
  test("stop a certificate that breaks one, and let its like through without linting again", () => {
    const issuer = authority.service.authority.issuers.active;
    const profile = authority.service.authority.profiles.get("server");
    if (!profile) throw new Error("no profile");
    const templates = new Templates(() => ({
      crlDistributionPoints: [],
      ocspUrls: [],
      caIssuersUrls: [],
    }));
    const plan: CertificatePlan = {
      profile,
      subject: makeName([{ type: "CN", value: "web" }]),
      subjectAltNames: [{ kind: "dns", value: "web.example.test" }],
      publicKey: publicKeyOf(newKey()),
      notBefore: new Date("2026-01-01T00:00:00Z"),
      notAfter: new Date("2026-02-01T00:00:00Z"),
      renewAfter: new Date("2026-01-20T00:00:00Z"),
      notices: [],
    };
    const encode = (content: CertificatePlan) =>
      templates
        .for(issuer, profile, 2_678_400)
        .encode({ ...content, serial: "4011223344556677889900112233445566" });
    expect(templates.lintShape(issuer, plan, encode(plan))).toEqual([]);
    const relative = { ...plan, subjectAltNames: [{ kind: "uri" as const, value: "no/scheme" }] };
    expect(templates.lintShape(issuer, relative, encode(relative)).join()).toMatch(/e_\w+/);
  });
});
