import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cloneInto } from "../helpers/clone.ts";
import { freePort } from "../helpers/free-port.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "countersign-clone-"));
let started: Started | undefined;
/** Of the first start. */
let output = "";
/** Ports that are free here; everything else is as a person has it. */
let env: NodeJS.ProcessEnv;

/** The folder of a person who has just cloned: the files of the tree, dependencies beside them. */
beforeAll(async () => {
  cloneInto(folder);
  // Installing from the registry belongs to a release check, not to every run of the tests.
  execFileSync("cp", [
    "-a",
    "--reflink=auto",
    join(root, "node_modules/."),
    join(folder, "node_modules"),
  ]);
  utimesSync(join(folder, "package-lock.json"), 0, 0);
  const [port, httpPort] = [await freePort(), await freePort()];
  env = {
    ...process.env,
    // The Node of the machine, not the one that runs the tests.
    PATH: (process.env["PATH"] ?? "")
      .split(":")
      .filter((one) => !one.includes("node_modules"))
      .join(":"),
    COUNTERSIGN_LISTEN_PORT: String(port),
    COUNTERSIGN_LISTEN_HTTP_PORT: String(httpPort),
  };
  started = await start("npm", ["start"], env);
  output = started.output;
}, 120_000);
afterAll(async () => {
  await started?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Started {
  /** What it has printed. */
  readonly output: string;
  /** Ends it with SIGTERM and waits until no process of it is left; gives all that it printed. */
  stop(): Promise<string>;
}

/** Starts a command that serves, in the clone, and waits until it says how to use it. */
async function start(
  command: string,
  arguments_: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Started> {
  const child = spawn(command, arguments_, { cwd: folder, env: environment, detached: true });
  let said = "";
  const collect = (chunk: Buffer) => {
    said += chunk;
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  // Its pipes are closed by the last process that holds them: npm, its shell and the service.
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const deadline = Date.now() + 90_000;
  while (!said.includes("openssl verify") && Date.now() < deadline && child.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    output: said,
    stop: async () => {
      // To the one process that a person started, as systemd and containers do.
      if (child.exitCode === null) child.kill("SIGTERM");
      await ended;
      return said;
    },
  };
}

describe("npm start on a fresh clone", () => {
  test("prints at most fifteen lines, with the root's fingerprint", () => {
    const lines = output.trimEnd().split("\n");
    expect(lines.length, output).toBeLessThanOrEqual(15);
    const printed = /Root SHA-256 ([0-9A-F:]+)/.exec(output)?.[1];
    const fingerprint = execFileSync(
      "openssl",
      ["x509", "-in", "data/root.crt", "-noout", "-fingerprint", "-sha256"],
      { cwd: folder, encoding: "utf8" },
    );
    expect(fingerprint.trim().split("=")[1]).toBe(printed);
  });

  test("the printed lines, pasted into a shell, give a certificate that openssl verifies", () => {
    const lines = output.split("\n").filter((line) => line.startsWith("  "));
    expect(lines).toHaveLength(4);
    const shell = spawnSync("sh", ["-e", "-c", lines.join("\n")], {
      env,
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(shell.stdout, shell.stderr).toContain("web.crt: OK");
    // Nothing of npm's, on whatever Node the machine has.
    expect(shell.stderr).not.toMatch(/npm|EBADENGINE/);
  });

  test("the README's lines are the ones that are printed, but for the addresses", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    for (const line of output.split("\n").filter((one) => one.startsWith("  "))) {
      expect(readme).toContain(line.trim().replace(/localhost:\d+/, "localhost:8443"));
    }
  });

  test("every other line of the README works as it stands, and git ignores what it makes", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(
      ([, block]) => block ?? "",
    );
    expect(blocks[0]?.trim()).toBe("npm start");
    expect(blocks.length).toBeGreaterThan(3);
    const port = /Serving https:\/\/localhost:(\d+)/.exec(output)?.[1] ?? "";
    const lines = blocks.slice(1).join("").replaceAll("localhost:8443", `localhost:${port}`);
    const shell = spawnSync("sh", ["-e", "-c", lines], { env, cwd: folder, encoding: "utf8" });
    expect(shell.status, shell.stderr).toBe(0);
    for (const said of ["Written to app", "web.crt: OK", "app.crt: OK"]) {
      expect(shell.stdout).toContain(said);
    }
    const made = ["app/key.pem", "app.crt", "web.key", "web.csr", "web.crt", "data/root.key"];
    const ignored = execFileSync("git", ["check-ignore", "--no-index", ...made], {
      cwd: root,
      encoding: "utf8",
    });
    expect(ignored.trim().split("\n")).toEqual(made);
  });

  test("examples/curl.sh walks through the life of a certificate", () => {
    const url = /Serving (https:\/\/localhost:\d+)/.exec(output)?.[1] ?? "";
    const walked = execFileSync("bash", ["examples/curl.sh", "data", url], {
      env,
      cwd: folder,
      encoding: "utf8",
    });
    expect(walked).toContain("app.crt: OK");
    expect(walked.trimEnd().endsWith("401")).toBe(true);
  });

  test("a second start reuses everything", async () => {
    const before = readFileSync(join(folder, "data", "issuing.key"), "utf8");
    expect(await started?.stop()).toContain("Stopped");
    started = await start("node", ["scripts/start.mjs", "serve"], env);
    expect(started.output).toContain("found in data");
    expect(readFileSync(join(folder, "data", "issuing.key"), "utf8")).toBe(before);
    writeFileSync(join(folder, "done"), "");
  });
});
