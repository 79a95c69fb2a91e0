/** Certificates outlive a change of `publicHttpUrl`: the lists go on covering them. */

import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { decodePem } from "../../src/der/pem.ts";
import { parseCertificate } from "../../src/x509/certificate/read.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const run = promisify(execFile);

describe.each([
  ["one list of all", { partitions: 1 }],
  ["four partitions with deltas", { partitions: 4, deltaValidity: "1h" }],
])("%s", (_name, crl) => {
  const folder = mkdtempSync(join(tmpdir(), "moved-"));
  const path = (name: string) => join(folder, name);
  const authority = useAuthority({
    config: (yaml) => {
      yaml["crl"] = crl;
      yaml["publicHttpUrl"] = "http://old.example.test";
    },
  });
  let before: Awaited<ReturnType<typeof enrol>>[];
  let after: Awaited<ReturnType<typeof enrol>>[];

  beforeAll(async () => {
    writeFileSync(path("root.pem"), authority.root);
    const issuing = readFileSync(join(authority.folder, "issuing.crt"), "utf8");
    writeFileSync(path("issuing.pem"), issuing);
    writeFileSync(path("both.pem"), authority.root + issuing);
    writeFileSync(
      path("root-crl.pem"),
      await (await fetch(`${plain()}/crl/${rootId()}.pem`)).text(),
    );
    before = [await enrol("before-1"), await enrol("before-2")];
    const file = join(authority.folder, "countersign.yaml");
    const yaml = parse(readFileSync(file, "utf8"));
    writeFileSync(file, stringify({ ...yaml, publicHttpUrl: "http://new.example.test" }));
    await authority.restart();
    after = [await enrol("after-1"), await enrol("after-2")];
    for (const { serial } of [before[1], after[1]].flatMap((one) => one ?? [])) {
      await authority.call("POST", `/v1/certificates/${serial}/revoke`, {
        as: authority.operator,
        body: { reason: "keyCompromise" },
      });
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const plain = () => `http://127.0.0.1:${authority.service.plainAddress?.port}`;
  const rootId = () => {
    const { root } = authority.service.authority.issuers.active;
    return root.spkiSha256.slice(0, 16);
  };

  async function enrol(cn: string) {
    const { cert, serial } = await authority.enrol({ cn });
    writeFileSync(path(`${cn}.pem`), cert);
    const parsed = parseCertificate(decodePem(cert)[0]?.der ?? new Uint8Array());
    const point = new URL((parsed.ok && parsed.value.crlDistributionPoints[0]) || "");
    return { file: `${cn}.pem`, serial, point };
  }

  async function say(program: string, ...args: string[]): Promise<string> {
    const done = await run(program, args, { cwd: folder, timeout: 30_000 }).catch((error) => error);
    return `${done.stdout}${done.stderr}`;
  }

  async function fetchList(list: string): Promise<string> {
    const answer = await fetch(plain() + list.replace(/\.crl$/, ".pem"));
    expect([list, answer.status]).toEqual([list, 200]);
    return answer.text();
  }

  test("openssl takes the list that each certificate names, under the old and the new address", async () => {
    expect(before[0]?.point.hostname).toBe("old.example.test");
    expect(after[0]?.point.hostname).toBe("new.example.test");
    for (const { file, point } of [...before, ...after]) {
      writeFileSync(path("list.pem"), await fetchList(point.pathname));
      const trust = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "list.pem"];
      const said = await say("openssl", "verify", "-crl_check", "-x509_strict", ...trust, file);
      expect(said).toContain(file.includes("-2") ? "certificate revoked" : `${file}: OK`);
    }
  });

  test("the list of all covers every one of them", async () => {
    const id = authority.service.authority.issuers.active.id;
    writeFileSync(path("list.pem"), await fetchList(`/crl/${id}.crl`));
    const trust = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "list.pem"];
    for (const { file } of [...before, ...after]) {
      const said = await say("openssl", "verify", "-crl_check", ...trust, file);
      expect(said).toContain(file.includes("-2") ? "certificate revoked" : `${file}: OK`);
    }
  });

  testWith("gcc", "/usr/include/mbedtls/x509_crl.h")(
    "Mbed TLS reads the list of all and the root's, and judges by them",
    async () => {
      const source = join(import.meta.dirname, "c/check_crl.c");
      const flags = ["-Wall", "-Werror", "-o", path("check"), source];
      execFileSync("gcc", [...flags, "-lmbedx509", "-lmbedcrypto"], { encoding: "utf8" });
      const id = authority.service.authority.issuers.active.id;
      const list = await fetchList(`/crl/${id}.crl`);
      writeFileSync(path("all.pem"), readFileSync(path("root-crl.pem"), "utf8") + list);
      const files = [...before, ...after].map(({ file }) => file);
      const said = await say(path("check"), "both.pem", "all.pem", ...files);
      const [good, revoked] = ["good", "The certificate has been revoked (is on a CRL) "];
      expect(
        said
          .trimEnd()
          .split("\n")
          .map((line) => line.trimEnd()),
      ).toEqual(files.map((file) => `${file} ${(file.includes("-2") ? revoked : good).trimEnd()}`));
    },
  );
});
