import type { AddressInfo } from "node:net";
import process from "node:process";
import type { Command } from "commander";
import { AggregatorRegistry } from "prom-client";
import { inspectFolder } from "../../ceremony/folder.ts";
import { defaultPkcs12Passphrase, initialiseDefaults } from "../../ceremony/founding.ts";
import { ownHosts } from "../../config/own-hosts.ts";
import { type RunningService, startService } from "../../server/service.ts";
import { remoteStore } from "../../store/remote.ts";
import { version } from "../../version.ts";
import { perform } from "../ceremony.ts";
import { CommandFailure, exitCodes } from "../failure.ts";
import { countFlag, type DataFlags, readCompiledConfig, withData } from "../options.ts";
import {
  channelToPrimary,
  type Role,
  readAllMetrics,
  runWorkers,
  sayReady,
  workerRole,
} from "./workers.ts";

/** `countersign serve`: serves the authority, and makes it first when the folder holds none. */
export function registerServe(program: Command): void {
  withData(program.command("serve", { isDefault: false }))
    .description("serve the authority; creates one when the data folder holds none")
    .option("--workers <number>", "processes that serve the one port", countFlag, 1)
    .action(runServe);
}

interface ServeFlags extends DataFlags {
  readonly workers: number;
}

async function runServe(flags: ServeFlags): Promise<void> {
  const role = workerRole();
  if (role !== undefined) return serveAsWorker(flags, role);
  const found = inspectFolder(flags.data);
  if (found.state === "partial") throw new CommandFailure(found.detail, exitCodes.configuration);
  if (found.state === "absent") {
    const { initialise } = await import("../../ceremony/found.ts");
    const overrides = { env: process.env, flags: flags.set };
    await perform(() => initialise({ ...initialiseDefaults, folder: flags.data, overrides }));
  }
  const config = readCompiledConfig(flags);
  const created = found.state === "absent";
  if (flags.workers > 1) return runWorkers(flags.workers, config.database.reveal(), created);
  const service = await startService({ config, hosts: ownHosts([]) });
  printWelcome(flags, service, created);
  await untilStopped(flags, service);
}

/** One of several: the store is at the other end of the channel, unless each can have its own. */
async function serveAsWorker(flags: ServeFlags, role: Role): Promise<void> {
  // Asked for metrics while it starts, it has none yet; unheard, the question would wait for it.
  new AggregatorRegistry();
  const config = readCompiledConfig(flags);
  const channel = channelToPrimary();
  const service = await startService({
    config,
    hosts: ownHosts([]),
    worker: {
      store: config.database.reveal().startsWith("sqlite:") ? remoteStore(channel) : undefined,
      readMetrics: readAllMetrics(channel),
      first: role !== "other",
    },
  });
  AggregatorRegistry.setRegistries(service.app.metricsRegistry);
  if (role !== "other") printWelcome(flags, service, role === "first-of-new");
  sayReady(channel);
  await untilStopped(flags, service);
  // The channel would keep a worker alive.
  process.disconnect();
}

async function untilStopped(flags: DataFlags, service: RunningService): Promise<void> {
  const stop = new Promise<void>((resolve, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => service.stop().then(resolve, reject));
    }
  });
  process.on("SIGHUP", () => reload(flags, service));
  await stop;
}

function reload(flags: DataFlags, service: RunningService): void {
  try {
    service.reload(readCompiledConfig(flags));
  } catch (error) {
    // A wrong file must not end a running service: the old policy stays in force.
    service.log.error({ err: error }, "reload refused: the old policy stays in force");
  }
}

/** At most nine lines, so that with npm's own the first screen stays under fifteen. */
function printWelcome(flags: DataFlags, service: RunningService, created: boolean): void {
  const { config, authority } = service;
  const data = flags.data;
  const own = data === "data" ? "" : ` --data ${data}`;
  const plain =
    service.plainAddress === undefined
      ? ""
      : `  ${config.publicHttpUrl?.origin ?? portOf(service.plainAddress)} (CRL, OCSP)`;
  const fingerprint = authority.issuers.active.root.sha256.toUpperCase().match(/../g)?.join(":");
  const subject = exampleSubject(service);
  console.log(
    `Countersign ${version}: ${config.name}, ${created ? "created" : "found"} in ${data}`,
  );
  console.log(
    `Serving ${config.publicUrl.origin} (try it: ${config.publicUrl.origin}/docs)${plain}`,
  );
  console.log(`Root SHA-256 ${fingerprint}`);
  console.log(
    created
      ? `Operator: ${data}/operator.p12 (password ${defaultPkcs12Passphrase}), operator.crt, operator.key`
      : `Operator: ${data}/operator.p12, operator.crt, operator.key`,
  );
  console.log("A first certificate (paste these lines into another shell, in this folder):");
  console.log(
    `  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout web.key -out web.csr -subj "${subject}" -addext "subjectAltName=DNS:web.example.test"`,
  );
  console.log(
    `  TOKEN=$(npx countersign token${own} --profile server --cn web --san dns:web.example.test)`,
  );
  console.log(
    `  curl --cacert ${data}/root.crt -H "Authorization: Bearer $TOKEN" --data-binary @web.csr "${config.publicUrl.origin}/v1/certificates" -o web.crt`,
  );
  console.log(`  openssl verify -CAfile ${data}/root.crt -untrusted web.crt web.crt`);
}

function portOf(address: AddressInfo): string {
  return `http://localhost:${address.port}`;
}

/** A subject that this authority's policy accepts, as openssl's -subj wants it. */
function exampleSubject(service: RunningService): string {
  return `${service.exampleSubject}/CN=web`;
}
