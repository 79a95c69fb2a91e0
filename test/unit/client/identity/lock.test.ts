import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withFolderLock } from "../../../../src/client/identity/lock.ts";
import { identityFolder } from "../../../helpers/identity-folder.ts";
import { until } from "../../../helpers/node-services.ts";
import { start } from "../../../helpers/processes.ts";

const patient = { patienceMs: 60_000 };

/** Who holds the lock of a folder, as the file says. */
function holderOf(dir: string): { pid: number; nonce: string; space: string } | undefined {
  const file = join(dir, "renewal.lock");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

/** A process of its own that takes the lock, says so, and never lets go. */
async function startHolder(dir: string) {
  const program = `
    import { withFolderLock } from "./src/client/identity/lock.ts";
    await withFolderLock(${JSON.stringify(dir)}, { patienceMs: 60000 }, async () => {
      console.log(JSON.stringify({ held: true }));
      await new Promise((resolve) => setTimeout(resolve, 600000));
    });`;
  const running = start(process.execPath, ["--input-type=module", "--eval", program]);
  await until(() => running.report().held === true, 20, running.text);
  return running;
}

describe("the lock of a folder", () => {
  test("lets one in at a time, and is gone afterwards", async () => {
    const dir = identityFolder();
    const inside: number[] = [];
    let most = 0;
    const work = (n: number) => async () => {
      inside.push(n);
      most = Math.max(most, inside.length);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside.splice(inside.indexOf(n), 1);
      return n;
    };
    const all = Array.from({ length: 6 }, (_, n) => withFolderLock(dir, patient, work(n)));
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most).toBe(1);
    expect(holderOf(dir)).toBeUndefined();
  });

  test("is gone when the work fails", async () => {
    const dir = identityFolder();
    const failing = withFolderLock(dir, patient, () => Promise.reject(new Error("away")));
    await expect(failing).rejects.toThrow("away");
    expect(holderOf(dir)).toBeUndefined();
  });

  test("of a process that lives is waited for, and after that not insisted on", async () => {
    const dir = identityFolder();
    const holder = await startHolder(dir);
    const seen = await withFolderLock(dir, { patienceMs: 500 }, async () => holderOf(dir));
    expect(seen?.pid).toBe(holder.child.pid);
    expect(holderOf(dir)?.pid).toBe(holder.child.pid);
  });

  test("is not left behind by a process that was killed", async () => {
    const dir = identityFolder();
    const holder = await startHolder(dir);
    const waiting = withFolderLock(dir, patient, async () => holderOf(dir));
    holder.child.kill("SIGKILL");
    expect((await waiting)?.pid).toBe(process.pid);
    expect(holderOf(dir)).toBeUndefined();
  });

  test("of another process that got the same id is not taken for its own", async () => {
    const dir = identityFolder();
    await withFolderLock(dir, patient, async () => {
      const own = holderOf(dir);
      writeFileSync(join(dir, "renewal.lock"), JSON.stringify({ ...own, started: "1" }));
      const seen = await withFolderLock(dir, patient, async () => holderOf(dir));
      expect(seen?.nonce).not.toBe(own?.nonce);
    });
  });

  test.each([
    ["another container", { nonce: "n", pid: process.pid, started: "1", space: "elsewhere" }],
    ["a program that wrote half of it", undefined],
  ])("of %s is a lease: it ends when its holder shows no life", async (_, holder) => {
    const dir = identityFolder();
    mkdirSync(dir);
    const file = join(dir, "renewal.lock");
    const content = holder === undefined ? "{" : JSON.stringify(holder);
    writeFileSync(file, content);
    const before = await withFolderLock(dir, { patienceMs: 300 }, async () =>
      readFileSync(file, "utf8"),
    );
    expect(before).toBe(content);
    const silent = new Date(Date.now() - 60_000);
    utimesSync(file, silent, silent);
    expect((await withFolderLock(dir, patient, async () => holderOf(dir)))?.pid).toBe(process.pid);
  });

  test("is done without where the folder takes none", async () => {
    const dir = identityFolder();
    writeFileSync(dir, "a file");
    expect(await withFolderLock(dir, patient, async () => "done")).toBe("done");
  });
});
