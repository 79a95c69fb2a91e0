import { execFile, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { parseIndex } from "../../src/openssl/index-txt.ts";
import type { Holder } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const run = promisify(execFile);
const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
let holder: Holder & { serial: string };
const authority = useAuthority();
beforeAll(async () => {
  holder = await authority.enrol({ profile: "server", cn: "web", sans: ["dns:web.example.test"] });
});

/** Runs the program; gives what it printed and its exit code. */
async function countersign(...args: string[]): Promise<{ out: string; err: string; code: number }> {
  const [command = "", sub = "", ...rest] = args;
  const all = [main, command, sub, ...rest, "--data", authority.folder];
  try {
    const { stdout, stderr } = await run(process.execPath, all, { timeout: 20_000 });
    return { out: stdout, err: stderr, code: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number };
    return { out: stdout, err: stderr, code };
  }
}

describe("countersign certs, over mutual TLS with the operator's credential", () => {
  test("list prints a table for people and JSON for programs", async () => {
    const table = await countersign("certs", "list", "--subject", "CN=web");
    expect(table.out.split("\n")[0]).toMatch(/^SERIAL +STATUS +PROFILE/);
    expect(table.out).toContain(holder.serial);
    const json = JSON.parse((await countersign("certs", "list", "--json")).out);
    expect(json.map((one: { serial: string }) => one.serial)).toContain(holder.serial);
    const some = JSON.parse(
      (await countersign("certs", "list", "--san", ".example.test", "--json")).out,
    );
    expect(some).toHaveLength(1);
  });

  test("show tells everything, as text, JSON or PEM", async () => {
    const nobody = [
      ["--profile", "absent"],
      ["--serial", "00".repeat(19)],
      ["--requested-by", "absent"],
      ["--issued-after", "+9000d"],
      ["--expires-before=-9000d"],
    ];
    for (const flags of nobody) {
      const { out, code } = await countersign("certs", "list", "--json", ...flags);
      expect([JSON.parse(out), code], flags.join(" ")).toEqual([[], 0]);
    }
    expect((await countersign("certs", "show", holder.serial)).out).toMatch(
      /^subject +C=IN, ST=Karnataka/m,
    );
    expect((await countersign("certs", "show", holder.serial, "--pem")).out).toBe(holder.cert);
    expect(
      JSON.parse((await countersign("certs", "show", holder.serial, "--json")).out).status,
    ).toBe("valid");
    const missing = await countersign("certs", "show", "00ff");
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("not-found")]);
  });

  test("export writes NDJSON, CSV, index.txt and PEM", async () => {
    const lines = (await countersign("certs", "export")).out.trim().split("\n");
    expect(lines.length).toBeGreaterThan(2);
    expect(
      (await countersign("certs", "export", "--format", "csv")).out.trim().split("\r\n"),
    ).toHaveLength(lines.length + 1);
    const index = parseIndex((await countersign("certs", "export", "--format", "index.txt")).out);
    expect(index.ok && index.value.length).toBe(lines.length);
    expect(
      (await countersign("certs", "export", "--format", "pem")).out.match(/BEGIN CERTIFICATE/g),
    ).toHaveLength(lines.length);
  });

  test.each([["export"], ["export", "--format", "pem"], ["show", "SERIAL", "--pem"]])(
    "%s for a reader that has seen enough ends in silence",
    async (...args) => {
      const named = args.map((one) => one.replace("SERIAL", holder.serial));
      const all = [main, "certs", ...named, "--data", authority.folder];
      const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "pipe"] });
      child.stdout.destroy();
      let err = "";
      child.stderr.on("data", (chunk) => {
        err += chunk;
      });
      const code = await new Promise((resolve) => child.on("close", resolve));
      expect([code, err]).toEqual([0, ""]);
    },
  );

  test("revoke revokes; a wrong reason is told before anything is asked", async () => {
    const wrong = await countersign("certs", "revoke", holder.serial, "--reason", "because");
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("keyCompromise")]);
    const done = await countersign("certs", "revoke", holder.serial, "--reason", "superseded");
    expect(done.out).toMatch(/^status +revoked/m);
  });

  test("a service that is not there is told in one line", async () => {
    const { err, code } = await countersign("certs", "list", "--url", "https://localhost:1");
    expect([code, err.trim().split("\n").length]).toEqual([1, 1]);
    expect(err).toContain("cannot be reached");
  });
});

describe("countersign config", () => {
  test("check says that it is fine, or every problem with its line", async () => {
    expect((await countersign("config", "check")).out).toContain("fine");
    const file = join(authority.folder, "countersign.yaml");
    const before = readFileSync(file, "utf8");
    writeFileSync(file, `${before}\nlisten2: {}\nprofils: {}\n`);
    const { err, code } = await countersign("config", "check");
    writeFileSync(file, before);
    expect(code).toBe(3);
    expect(err).toMatch(/countersign\.yaml:\d+.*listen2/);
    expect(err).toMatch(/profils.*profiles/);
  });

  test("show tells every value and where it comes from, secrets masked", async () => {
    const { out } = await countersign(
      "config",
      "show",
      "--set",
      "issuer.passphrase=hunter2",
      "--set",
      "log.level=warn",
    );
    expect(out).toMatch(/^KEY +VALUE +FROM/);
    expect(out).toMatch(/log\.level +"warn" +--set log\.level/);
    expect(out).not.toContain("hunter2");
  });
});
