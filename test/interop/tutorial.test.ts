/** The walkthrough as its page has it: every block is run by a shell with the real programs. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../helpers/free-port.ts";
import { examples } from "../helpers/openssl-ca.ts";

interface Block {
  readonly title: string;
  readonly kind: "run" | "serve";
  readonly script: string;
  /** Parts of the output, in any order. */
  readonly says: readonly string[];
}

const repository = resolve(import.meta.dirname, "../..");
const page = readFileSync(join(repository, "docs/replace-an-openssl-ca.md"), "utf8");
const blocks = readBlocks(page);
const portsOfPage = ["8443", "9443", "9444"] as const;

describe("docs/replace-an-openssl-ca.md", () => {
  const folder = mkdtempSync(join(tmpdir(), "tutorial-"));
  const ports = new Map<string, string>();
  let service: ChildProcess | undefined;
  const env = {
    ...process.env,
    PATH: `${join(folder, "bin")}:${dirname(process.execPath)}:${process.env["PATH"]}`,
  };

  beforeAll(async () => {
    cpSync(examples, folder, { recursive: true });
    mkdirSync(join(folder, "bin"));
    const program = join(folder, "bin/countersign");
    writeFileSync(
      program,
      `#!/bin/sh\nexec "${process.execPath}" "${repository}/src/cli/main.ts" "$@"\n`,
    );
    chmodSync(program, 0o755);
    for (const port of portsOfPage) ports.set(port, String(await freePort()));
    ports.set("8080", String(await freePort()));
  });
  afterAll(async () => {
    if (service?.pid !== undefined) {
      const gone = new Promise((done) => service?.once("exit", done));
      service.kill("SIGTERM");
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test("has each step of the walkthrough as a block that runs", () => {
    expect(blocks.filter((one) => one.kind === "run").length).toBeGreaterThanOrEqual(18);
    expect(blocks.filter((one) => one.kind === "serve")).toHaveLength(1);
  });

  test.each(blocks.map((block, at) => [at + 1, block.title, block] as const))(
    "block %i (%s) does what the page says",
    async (_, title, block) => {
      if (block.kind === "serve") {
        service = await serve(block.script);
        return;
      }
      const done = await shell(withPorts(block.script));
      expect(done.status, `${title}\n${done.said}`).toBe(0);
      for (const part of block.says) expect(done.said).toContain(part);
    },
    60_000,
  );

  /** The page's ports become free ones, at the import too, so that addresses agree. */
  function withPorts(script: string): string {
    const moved = portsOfPage.reduce(
      (text, port) => text.replaceAll(`:${port}`, `:${ports.get(port)}`),
      script,
    );
    return moved
      .replace(/(?<=-accept |cacert\.pem )(9443|9444)/g, (port) => ports.get(port) ?? port)
      .replace(
        /^countersign import openssl .*$/gm,
        `$& --port ${ports.get("8443")} --http-port ${ports.get("8080")}`,
      );
  }

  /** What a block started in the background ends with it, also when it fails. */
  function shell(block: string): Promise<{ status: number; said: string }> {
    return new Promise((done) => {
      const script = `trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${block}`;
      execFile(
        "bash",
        ["-euo", "pipefail", "-c", script],
        { cwd: folder, env, timeout: 55_000 },
        (error, stdout, stderr) =>
          done({
            status: error === null ? 0 : Number(error.code ?? 1),
            said: `${stdout}${stderr}`,
          }),
      );
    });
  }

  async function serve(script: string): Promise<ChildProcess> {
    const child = spawn("bash", ["-c", `exec ${script.trim()}`], {
      cwd: folder,
      env,
      stdio: "ignore",
    });
    for (let attempt = 0; attempt < 200; attempt++) {
      if (child.exitCode !== null) throw new Error("the service ended");
      if (await answers(Number(ports.get("8443")))) return child;
      await new Promise((later) => setTimeout(later, 100));
    }
    throw new Error("the service does not answer");
  }
});

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => done(true)).once("error", () => done(false));
    socket.once("connect", () => socket.destroy());
  });
}

function readBlocks(text: string): readonly Block[] {
  const found: Block[] = [];
  let title = "";
  const pattern = /^## (.+)$|^```sh( serve)?\n([\s\S]*?)^```\n(?:```text\n([\s\S]*?)^```)?/gm;
  for (const [, heading, serving, script = "", says = ""] of text.matchAll(pattern)) {
    if (heading !== undefined) title = heading;
    else {
      const kind = serving === undefined ? "run" : "serve";
      found.push({ title, kind, script, says: says.split("\n").filter((line) => line !== "") });
    }
  }
  return found;
}
