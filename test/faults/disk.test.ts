import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, makeCsr, newKey, testSubject } from "../helpers/authority.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Node, type Nodes, prepareNodes } from "../helpers/nodes.ts";
import { repository } from "../helpers/processes.ts";

const isRoot = process.getuid?.() === 0;
/** Small file systems and other users are root's to make; where CI=true it is root. */
const needsRoot = !isRoot && process.env["CI"] !== "true";
const NOBODY = 65_534;

let nodes: Nodes;
let made: Node;
beforeAll(async () => {
  nodes = await prepareNodes("sqlite:countersign.db");
  made = await nodes.start();
});
afterAll(() => nodes?.remove());

const present = async (node: Node): Promise<Answer> =>
  node.call("POST", "/v1/certificates", {
    token: await nodes.mint(),
    body: makeCsr({ key: newKey(), subject: `${testSubject}/CN=web` }),
    headers: { "content-type": "application/pkcs10" },
  });

describe.skipIf(needsRoot)("a disk that is full (S-29; needs root to mount a small one)", () => {
  const place = mkdtempSync(join(tmpdir(), "countersign-full-"));
  beforeAll(() => {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", place]);
  });
  afterAll(() => {
    execFileSync("umount", ["--lazy", place]);
    rmSync(place, { recursive: true, force: true });
  });

  test("503 in words and nothing issued; with room again it goes on without a restart, and all is whole", async () => {
    const node = await nodes.start([], join(place, "data"));
    const given: string[] = [];
    const note = (answer: Answer) => {
      if (answer.status === 201)
        given.push(String(answer.headers.location).split("/").at(-1) ?? "");
      return answer.status;
    };
    expect(note(await present(node))).toBe(201);
    const ballast = join(place, "ballast");
    const { bavail, bsize } = statfsSync(place);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - 128 * 1024));
    let full: Answer | undefined;
    for (let tries = 0; tries < 200 && full === undefined; tries++) {
      const answer = await present(node);
      if (note(answer) !== 201) full = answer;
    }
    expect(full?.status).toBe(503);
    expect(full?.headers["content-type"]).toMatch(/problem\+json/);
    expect(full?.json.detail).toMatch(/no room left[\s\S]*nothing was written|Nothing was issued/i);
    expect(full?.text).not.toMatch(/SQLITE|\n\s+at |BEGIN CERTIFICATE/);
    expect((await node.call("GET", "/healthz")).status).toBe(200);
    const ready = await node.call("GET", "/readyz");
    expect([ready.status, ready.json.ready]).toEqual([503, false]);
    expect(node.said()).toMatch(/no room left/);

    unlinkSync(ballast);
    expect(note(await present(node))).toBe(201);
    expect((await node.call("GET", "/readyz")).status).toBe(200);
    const said = execFileSync(
      process.execPath,
      ["src/cli/main.ts", "doctor", "--data", node.folder, "--json"],
      { cwd: repository, encoding: "utf8" },
    );
    const report = JSON.parse(said);
    expect(report.findings).toEqual([]);
    // The first start's own certificates, the operator's, and each that a client received.
    expect(report.certificates).toBe(given.length + 3);
    expect(await node.end("SIGTERM")).toBe(0);
  });
});

describe("a folder that cannot be served is told in one sentence at the start", () => {
  /** Starts the service, as another user if asked, and gives how it ended. */
  function serve(
    folder: string,
    as?: number,
    more: readonly string[] = [],
  ): Promise<{ code: number | null; said: string }> {
    const ports = [
      "--set",
      "listen.host=127.0.0.1",
      "--set",
      "listen.port=1",
      "--set",
      "listen.httpPort=false",
    ];
    const command = [
      process.execPath,
      "src/cli/main.ts",
      "serve",
      "--data",
      folder,
      ...ports,
      ...more,
    ];
    const user =
      as === undefined ? [] : ["setpriv", `--reuid=${as}`, `--regid=${as}`, "--clear-groups"];
    const [program = "", ...rest] = [...user, ...command];
    const child = spawn(program, rest, { cwd: repository, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk) => {
      said += chunk;
    });
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    return new Promise((resolve) =>
      child.on("exit", (code) => {
        clearTimeout(late);
        resolve({ code, said });
      }),
    );
  }

  const scratch = mkdtempSync(join(tmpdir(), "countersign-told-"));
  beforeAll(async () => {
    await made.end("SIGTERM");
    // Enough pages that one of the middle is not one of the schema.
    chmodSync(scratch, 0o755);
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  function copy(name: string): string {
    const folder = join(scratch, name);
    cpSync(made.folder, folder, { recursive: true });
    return folder;
  }

  function told({ code, said }: { code: number | null; said: string }, sentence: RegExp) {
    expect(said).toMatch(sentence);
    expect(said).not.toMatch(/\n\s+at |SQLITE_|SqliteError|node:/);
    expect(said.trim().split("\n")).toHaveLength(1);
    expect([1, 3]).toContain(code);
  }

  const database = "countersign.db";

  test.each<[string, (file: string) => void]>([
    ["is not a database", (file) => writeFileSync(file, randomBytes(20_000))],
    [
      "is cut off in its middle",
      (file) => writeFileSync(file, readFileSync(file).subarray(0, 50_000)),
    ],
    [
      "has random bytes in its middle",
      (file) => {
        const bytes = readFileSync(file);
        // The last third is rows and indexes: nothing that opening alone would read.
        randomBytes(12_288).copy(bytes, 4096 * Math.floor((bytes.length / 4096) * 0.7));
        writeFileSync(file, bytes);
      },
    ],
  ])("a database that %s", async (title, damage) => {
    const folder = copy(title.replaceAll(" ", "-"));
    for (const name of readdirSync(folder).filter((one) => /-(wal|shm)$/.test(one))) {
      unlinkSync(join(folder, name));
    }
    damage(join(folder, database));
    told(
      await serve(folder),
      /countersign\.db is damaged: stop, keep a copy, and restore a backup/,
    );
  });

  test("a second process on one folder, while the first goes on", async () => {
    const first = await nodes.restart(made);
    told(await serve(first.folder), /Another process serves this folder already/);
    expect((await first.call("GET", "/readyz")).status).toBe(200);
    await first.end("SIGTERM");
  });

  test.skipIf(needsRoot)("files of another owner (needs root to have another user)", async () => {
    const folder = copy("owner");
    chmodSync(folder, 0o755);
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644);
    chmodSync(join(folder, database), 0o600);
    const { code, said } = await serve(folder, NOBODY);
    told(
      { code, said },
      /cannot be (opened|taken|written)[\s\S]*(belongs to this user|permissions)/,
    );
  });

  test.skipIf(needsRoot)(
    "a folder that is read-only (needs root to have another user)",
    async () => {
      const folder = copy("read-only");
      for (const name of readdirSync(folder)) {
        chownSync(join(folder, name), NOBODY, NOBODY);
        chmodSync(join(folder, name), 0o400);
      }
      chownSync(folder, NOBODY, NOBODY);
      chmodSync(folder, 0o500);
      told(
        await serve(folder, NOBODY),
        /cannot be (opened|taken|written)[\s\S]*(writable|permissions)/,
      );
    },
  );

  test("a plain port that is taken, without a process that stays", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.on("listening", resolve));
    const { port } = taken.address() as AddressInfo;
    const ports = ["--set", `listen.port=${await freePort()}`, "--set", `listen.httpPort=${port}`];
    const ended = await serve(copy("port"), undefined, ports);
    taken.close();
    told(ended, /EADDRINUSE/);
  });

  test("a key that cannot be read", async () => {
    const folder = copy("key");
    mkdirSync(join(folder, "gone"));
    copyFileSync(join(folder, "issuing.key"), join(folder, "gone", "issuing.key"));
    unlinkSync(join(folder, "issuing.key"));
    told(await serve(folder), /issuing\.key cannot be read \(ENOENT\)/);
  });
});
