/**
 * `serve --workers N`: several processes on one port. On SQLite this first process owns the file and
 * the workers reach it over their channels; on PostgreSQL each connects by itself.
 */

import cluster, { type Worker } from "node:cluster";
import process from "node:process";
import { AggregatorRegistry, type PrometheusContentType } from "prom-client";
import { LogDestination } from "../../../server/log/destination.ts";
import { openStore } from "../../../store/open.ts";
import { type Channel, serveStore } from "../../../store/remote.ts";
import type { Store } from "../../../store/store.ts";
import { CommandFailure } from "../../failure.ts";

/** Says to a worker whether it is the first, and what the first prints. */
const roleVariable = "SERVE_WORKER_ROLE";
const RESTART_AFTER_MS = 1_000;
/** What a worker says when it serves. */
const READY = "ready";

type Role = "first-of-new" | "first" | "other";

/** The role of this process, which is a worker. */
export function workerRole(): Role {
  return (process.env[roleVariable] as Role | undefined) ?? "other";
}

/** The channel of a worker to the process that started it. */
export function channelToPrimary(): Channel {
  return {
    send: (message) => process.send?.({ countersign: message }),
    onMessage: (listen) => process.on("message", (message) => listen(payloadOf(message))),
  };
}

/** Tells the process that started this one that it serves. */
export function sayReady(channel: Channel): void {
  channel.send(READY);
}

/** Metrics of all workers together, asked for from one of them. */
export function readAllMetrics(channel: Channel): () => Promise<string> {
  const waiting: ((text: string) => void)[] = [];
  channel.onMessage((message) => {
    const { metrics } = (message ?? {}) as { metrics?: string };
    if (metrics !== undefined) for (const resolve of waiting.splice(0)) resolve(metrics);
  });
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      channel.send({ wants: "metrics" });
    });
}

/** Starts the workers and keeps them; ends when all have ended after a signal. */
export async function runWorkers(count: number, database: string, created: boolean): Promise<void> {
  const store = database.startsWith("sqlite:")
    ? await openStore(database, { exclusive: true })
    : undefined;
  // Each reads the file by itself. Before any is ready, the signal must not end this process.
  process.on("SIGHUP", () => {
    for (const worker of workers()) worker.process.kill("SIGHUP");
  });
  cluster.setupPrimary({ serialization: "advanced" });
  const words = new LogDestination(2);
  const metrics = new AggregatorRegistry<PrometheusContentType>();
  let serving = false;
  const start = (role: Role, refused: (error: Error) => void): Worker | undefined => {
    // Some refusals of the system are thrown, others are events.
    try {
      const worker = cluster.fork({ [roleVariable]: role });
      connect(worker, store, metrics);
      worker.on("error", (error) => isUnborn(worker) && refused(error));
      return worker;
    } catch (error) {
      refused(error as Error);
      return undefined;
    }
  };
  const startOther = () =>
    start("other", ({ message }) => startAnother(`a worker could not be started (${message})`));
  const startAnother = (why: string) => {
    if (!serving) return;
    // This process may own the store: nobody waits for a reader of its words.
    words.write(`${why}; starting another\n`);
    setTimeout(() => serving && startOther(), RESTART_AFTER_MS);
  };
  await new Promise<void>((resolve, reject) => {
    const first = start(created ? "first-of-new" : "first", ({ message }) =>
      reject(new CommandFailure(`No worker could be started: ${message}`)),
    );
    first?.on("message", (message) => payloadOf(message) === READY && resolve());
    // It has said why on standard error.
    first?.once("exit", (code) => reject(new CommandFailure("", code || 1)));
  }).catch(async (error: unknown) => {
    await store?.close();
    throw error;
  });
  serving = true;
  for (let at = 1; at < count; at++) startOther();
  cluster.on("exit", (worker, code, signal) =>
    startAnother(`worker ${worker.process.pid} ended (${signal ?? code})`),
  );
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => {
        serving = false;
        Promise.all(workers().map(ended)).then(() => resolve());
        for (const worker of workers()) worker.process.kill("SIGTERM");
      });
    }
  });
  await store?.close();
}

function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).flatMap((one) =>
    one === undefined || isUnborn(one) ? [] : [one],
  );
}

/** Whether the system refused to start its process: then it has no exit either. */
function isUnborn(worker: Worker): boolean {
  return worker.process.pid === undefined;
}

function ended(worker: Worker): Promise<void> {
  return new Promise((resolve) => worker.once("exit", () => resolve()));
}

/** The channel of the first process to a worker. What a worker that has ended is sent is lost. */
export function channelToWorker(worker: Worker): Channel {
  // Some of it is noticed only when it is written. Without a listener, that would end this process,
  // and all.
  worker.on("error", () => {});
  return {
    send: (message) => {
      if (worker.isConnected()) worker.send({ countersign: message } as never);
    },
    onMessage: (listen) => worker.on("message", (message) => listen(payloadOf(message))),
  };
}

function connect(
  worker: Worker,
  store: Store | undefined,
  metrics: AggregatorRegistry<PrometheusContentType>,
) {
  const channel = channelToWorker(worker);
  if (store !== undefined) serveStore(store, channel);
  channel.onMessage((message) => {
    if ((message as { wants?: string } | undefined)?.wants !== "metrics") return;
    metrics.clusterMetrics().then(
      (text) => channel.send({ metrics: text }),
      (error: Error) => channel.send({ metrics: `# not all workers answered: ${error.message}\n` }),
    );
  });
}

function payloadOf(message: unknown): unknown {
  return (message as { countersign?: unknown } | undefined)?.countersign;
}
