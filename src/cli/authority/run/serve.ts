/** What `countersign serve` does before it serves. */

import cluster from "node:cluster";
import process from "node:process";
import { type FirstAddresses, firstAddresses } from "../../../ceremony/addresses.ts";
import { inspectFolder } from "../../../ceremony/folder.ts";
import { initialiseDefaults } from "../../../ceremony/founding.ts";
import { perform, tellOperator } from "../../ceremony.ts";
import { compiled, readConfig } from "../../configuration.ts";
import { CommandFailure, exitCodes } from "../../failure.ts";
import type { DataFlags } from "../../options.ts";
import { allowUnwritten } from "../../output.ts";
import { requireFreePorts, type WantedListener } from "./ports.ts";

export interface ServeFlags extends DataFlags {
  readonly workers: number;
}

/** Makes the authority when there is none; then serves it, here or in processes of its own. */
export async function runServe(flags: ServeFlags): Promise<void> {
  allowUnwritten();
  if (cluster.isWorker) return (await import("./serving.ts")).serveAsWorker(flags);
  const created = await createIfAbsent(flags);
  const loaded = readConfig(flags);
  const config = compiled(loaded);
  // The first of several processes answers nobody: it loads no server.
  if (flags.workers > 1) {
    const { runWorkers } = await import("./workers.ts");
    await runWorkers(flags.workers, config.database.reveal(), created);
  } else {
    const { serveAlone } = await import("./serving.ts");
    await serveAlone(flags, loaded, created);
  }
  // On standard error, since the log on standard output is JSON.
  console.error("Stopped: every request was answered, and what was issued is on disk.");
}

/** Whether it was made now. */
async function createIfAbsent(flags: DataFlags): Promise<boolean> {
  const found = inspectFolder(flags.data);
  if (found.state === "partial") throw new CommandFailure(found.detail, exitCodes.configuration);
  if (found.state !== "absent") return false;
  const overrides = { env: process.env, flags: flags.set };
  const { initialise } = await import("../../../ceremony/found.ts");
  const founding = { ...initialiseDefaults, folder: flags.data, overrides };
  await requireFreePorts(firstListeners(firstAddresses(founding)));
  const founded = await perform(() => initialise(founding));
  // Before anything else can fail: it cannot be shown a second time.
  if (founded.state === "created") tellOperator(flags.data, founded.operatorPassword);
  return true;
}

function firstListeners({ host, port, httpPort }: FirstAddresses): WantedListener[] {
  const plain =
    httpPort === false ? [] : [{ key: "listen.httpPort" as const, host, port: httpPort }];
  return [{ key: "listen.port", host, port }, ...plain];
}
