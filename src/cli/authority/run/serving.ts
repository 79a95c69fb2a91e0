/** A process that serves the authority, from its first connection to its last. */

import type { AddressInfo } from "node:net";
import process from "node:process";
import { AggregatorRegistry } from "prom-client";
import type { LoadedConfig } from "../../../config/load/load.ts";
import { ownHosts } from "../../../config/own-hosts.ts";
import { type RunningService, startService } from "../../../server/service.ts";
import { remoteStore } from "../../../store/remote.ts";
import { version } from "../../../version.ts";
import { compiled, readConfig } from "../../configuration.ts";
import type { DataFlags } from "../../options.ts";
import { ownCommand, shellWord } from "../../own-command.ts";
import { onHangUp, Reloads } from "./reloads.ts";
import { channelToPrimary, readAllMetrics, sayReady, workerRole } from "./workers.ts";

/** The one process that serves; ends after a signal. */
export async function serveAlone(
  flags: DataFlags,
  loaded: LoadedConfig,
  created: boolean,
): Promise<void> {
  const reloadWith = onHangUp();
  const service = await startService({ config: compiled(loaded), hosts: ownHosts([]) });
  const reloads = new Reloads(flags, loaded, service);
  reloadWith(reloads);
  printWelcome(flags, service, created);
  await untilStopped(service, reloads);
}

/** One of several: the store is at the other end of the channel, unless each can have its own. */
export async function serveAsWorker(flags: DataFlags): Promise<void> {
  const role = workerRole();
  // Asked for metrics while it starts, it has none yet. Without an answer, the question would wait
  // for it.
  new AggregatorRegistry();
  const reloadWith = onHangUp();
  const loaded = readConfig(flags);
  const config = compiled(loaded);
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
  const reloads = new Reloads(flags, loaded, service);
  reloadWith(reloads);
  AggregatorRegistry.setRegistries(service.app.metricsRegistry);
  if (role !== "other") printWelcome(flags, service, role === "first-of-new");
  sayReady(channel);
  await untilStopped(service, reloads);
  // The channel would keep a worker alive.
  process.disconnect();
}

async function untilStopped(service: RunningService, reloads: Reloads): Promise<void> {
  const stop = new Promise<void>((resolve, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => service.stop().then(resolve, reject));
    }
  });
  await stop;
  reloads.end();
}

/** At most nine lines, so that with npm's own the first screen stays under fifteen. */
function printWelcome(flags: DataFlags, service: RunningService, created: boolean): void {
  const { config, authority } = service;
  const data = flags.data;
  const own = data === "data" ? "" : ` --data ${shellWord(data)}`;
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
  // At the creation it was said already, with the password.
  if (!created) console.log(`Operator: ${data}/operator.p12, operator.crt, operator.key`);
  console.log("A first certificate (paste these lines into another shell, in this folder):");
  console.log(
    `  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout web.key -out web.csr -subj "${subject}" -addext "subjectAltName=DNS:web.example.test"`,
  );
  console.log(
    `  TOKEN=$(${ownCommand()} token${own} --profile server --cn web --san dns:web.example.test)`,
  );
  console.log(
    `  curl --cacert ${shellWord(`${data}/root.crt`)} -H "Authorization: Bearer $TOKEN" --data-binary @web.csr "${config.publicUrl.origin}/v1/certificates" -o web.crt`,
  );
  console.log(
    `  openssl verify -CAfile ${shellWord(`${data}/root.crt`)} -untrusted web.crt web.crt`,
  );
}

function portOf(address: AddressInfo): string {
  return `http://localhost:${address.port}`;
}

/** A subject that this authority's policy accepts, as openssl's -subj wants it. */
function exampleSubject(service: RunningService): string {
  return `${service.exampleSubject}/CN=web`;
}
