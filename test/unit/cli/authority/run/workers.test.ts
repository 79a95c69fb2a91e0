import cluster from "node:cluster";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { channelToWorker } from "../../../../../src/cli/authority/run/workers.ts";

test("an answer to a worker that was killed a moment ago does not end the process that owns the store", async () => {
  const folder = mkdtempSync(join(tmpdir(), "countersign-worker-"));
  const exec = join(folder, "worker.mjs");
  writeFileSync(exec, "setInterval(() => {}, 1000);");
  cluster.setupPrimary({ exec, serialization: "advanced" });
  const worker = cluster.fork();
  const channel = channelToWorker(worker);
  await once(worker, "online");
  worker.process.kill("SIGKILL");
  // Until the worker is gone, without a turn of the event loop that would notice.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  expect(worker.isConnected()).toBe(true);
  const exited = new Promise((resolve) => worker.on("exit", (_code, signal) => resolve(signal)));
  // Failed, this is an uncaught exception of this file.
  channel.send({ answers: [] });
  expect(await exited).toBe("SIGKILL");
  rmSync(folder, { recursive: true });
});
