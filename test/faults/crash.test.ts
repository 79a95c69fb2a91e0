import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initialise, initialiseDefaults } from "../../src/cli/initialise.ts";
import { readCompiledConfig } from "../../src/cli/options.ts";
import { decodePem } from "../../src/der/pem.ts";
import { openTokenKey } from "../../src/server/open-authority.ts";
import { parseCertificateChain } from "../../src/x509/certificate.ts";
import { callHttps, freePort, makeCsr, newKey, testSubject } from "../helpers/authority.ts";

const ROUNDS = process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 50 : 5;
const CLIENTS = 8;
const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const folder = join(mkdtempSync(join(tmpdir(), "crash-")), "data");
let port: number;
let server: ChildProcess | undefined;

beforeAll(async () => {
  port = await freePort();
  await initialise({ ...initialiseDefaults, folder, port, httpPort: await freePort() });
});
afterAll(() => {
  server?.kill("SIGKILL");
  rmSync(join(folder, ".."), { recursive: true, force: true });
});

async function start(): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [
      main,
      "serve",
      "--data",
      folder,
      "--set",
      "limits.enabled=false",
      "--set",
      "listen.httpPort=false",
    ],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      output += chunk;
      if (output.includes("openssl verify")) resolve();
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
    });
    child.on("exit", () => reject(new Error(`the service ended: ${output}`)));
  });
  return child;
}

/** Issues until the service is gone; gives every certificate that a client has in hands. */
async function load(
  mint: () => Promise<string>,
  root: string,
  received: string[],
  until: () => boolean,
): Promise<void> {
  while (!until()) {
    try {
      const answer = await callHttps(`https://localhost:${port}/v1/certificates`, "POST", root, {
        token: await mint(),
        body: makeCsr({ key: newKey(), subject: `${testSubject}/CN=crash` }),
        headers: { "content-type": "application/pkcs10" },
      });
      if (answer.status === 201) received.push(answer.text);
    } catch {
      // The service was killed under this request: the client has nothing in hands.
    }
  }
}

describe("kill -9 under load (S-29)", () => {
  test(`${ROUNDS} rounds: what any client received is in the index with the same bytes, and the database opens clean`, async () => {
    const root = readFileSync(join(folder, "root.crt"), "utf8");
    const chain = parseCertificateChain(root);
    if (!chain.ok || !chain.value[0]) throw new Error("no root");
    const key = await openTokenKey(
      readCompiledConfig({ data: folder, set: {} }),
      chain.value[0].sha256,
    );
    const mint = async () => {
      const minted = await key.mint(
        { profile: "client", commonName: "crash", names: [] },
        new Date(),
      );
      if (!minted.ok) throw new Error(minted.refusal.detail);
      return minted.value.token;
    };
    const received: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      server = await start();
      let killed = false;
      const clients = Array.from({ length: CLIENTS }, () =>
        load(mint, root, received, () => killed),
      );
      await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 500));
      server.kill("SIGKILL");
      await new Promise((resolve) => server?.on("exit", resolve));
      killed = true;
      await Promise.all(clients);
    }
    expect(received.length).toBeGreaterThan(ROUNDS);

    const db = new Database(join(folder, "countersign.db"), { readonly: true });
    expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
    const find = db.prepare(
      "select d.der from certificates c join certificate_der d on d.certificate_id = c.id where c.sha256 = ?",
    );
    for (const pem of received) {
      const der = decodePem(pem)[0]?.der ?? new Uint8Array();
      const row = find.get(createHash("sha256").update(der).digest("hex")) as
        | { der: Buffer }
        | undefined;
      expect(row?.der.equals(der)).toBe(true);
    }
    const half = db
      .prepare(
        "select count(*) as n from certificates c left join certificate_der d on d.certificate_id = c.id where d.der is null",
      )
      .get() as { n: number };
    const unspent = db
      .prepare(
        "select count(*) as n from certificates c where via = 'token' and not exists (select 1 from credentials k where k.certificate_id = c.id)",
      )
      .get() as { n: number };
    const silent = db
      .prepare(
        "select count(*) as n from certificates c where not exists (select 1 from audit a where a.serial = c.serial)",
      )
      .get() as { n: number };
    db.close();
    expect([half.n, unspent.n, silent.n]).toEqual([0, 0, 0]);
    server = await start();
    const ready = await callHttps(`https://localhost:${port}/readyz`, "GET", root);
    expect(ready.json.ready).toBe(true);
    server.kill("SIGTERM");
    await new Promise((resolve) => server?.on("exit", resolve));
  }, 300_000);
});
