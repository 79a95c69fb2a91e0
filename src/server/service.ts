/** A running service: authority, listeners, its own certificate kept fresh, an orderly end. */

import type { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { pino } from "pino";
import type { Authority } from "../authority/authority.ts";
import type { Issuer } from "../authority/issuers.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { openAuthority } from "../config/open-authority.ts";
import type { LiveConfig } from "../config/reload/live.ts";
import type { Store } from "../store/store.ts";
import type { GeneralName } from "../x509/name/general-name.ts";
import { attributesOf, findAttributeType } from "../x509/name/read.ts";
import { startDuties } from "./duties.ts";
import { LogDestination } from "./log/destination.ts";
import { frameworkLevel } from "./log/level.ts";
import { countDroppedLines, listenForMetrics } from "./metrics.ts";
import { OwnIdentity } from "./own/identity.ts";
import { ownProfile } from "./own/profile.ts";
import { buildPlainServer } from "./plain.ts";
import { reloadService } from "./reload.ts";
import { openRevocation, stapleOcsp } from "./revocation/open.ts";
import type { RevocationParts } from "./revocation/routes.ts";
import { buildServer, tlsSettingsOf } from "./server.ts";
import { swapIdentity } from "./tls.ts";

export interface ServiceOptions {
  readonly config: CompiledConfig;
  /** Names of the service besides that of its public address, for its own certificate. */
  readonly hosts: readonly GeneralName[];
  readonly clock?: () => Date;
  readonly log?: FastifyBaseLogger;
  /** Where several processes serve one port. */
  readonly worker?: WorkerOptions;
}

export interface WorkerOptions {
  /** The store of the process that owns it; undefined: each opens the configuration's. */
  readonly store: Store | undefined;
  /** Metrics of all workers together. */
  readonly readMetrics: () => Promise<string>;
  /** The first renews what all use; the others take it from the disk, and act when it does not. */
  readonly first: boolean;
}

export interface RunningService {
  /** As it is in force. */
  readonly config: CompiledConfig;
  readonly authority: Authority;
  readonly app: FastifyInstance;
  readonly store: Store;
  readonly log: FastifyBaseLogger;
  readonly address: AddressInfo;
  readonly plainAddress: AddressInfo | undefined;
  /** `/C=…/ST=…/O=…`: the part of a subject that this authority wants to match. */
  readonly exampleSubject: string;
  /**
   * Takes a new configuration, save what `whenChanged` lets wait for a restart. Throws one sentence
   * for people when it cannot be used; then nothing has changed.
   */
  reload(config: CompiledConfig): Promise<void>;
  /** Makes a new server certificate now and swaps it on the live listener. */
  renewOwnCertificate(): Promise<void>;
  /** Stops accepting, finishes what was started, flushes, closes; bounded in time. */
  stop(): Promise<void>;
}

/** What the first worker renews has long been on disk by then. */
const OTHERS_WAIT_MS = 60_000;
/** Under the ten seconds after which `docker stop` loses patience. */
const STOP_WITHIN_MS = 8_000;

/** Stops duties and listeners; connections that are still open after the limit are cut. */
async function stopInTime(
  tls: TlsServer,
  duties: ReturnType<typeof startDuties>,
  listeners: readonly ({ close(): unknown } | undefined)[],
): Promise<void> {
  let forced: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    forced = setTimeout(() => {
      tls.closeAllConnections();
      resolve();
    }, STOP_WITHIN_MS);
  });
  const rested = Promise.race([duties.stop(), late]);
  await Promise.all([...listeners.map((one) => one?.close()), rested]);
  clearTimeout(forced);
}

/** Opens the authority and serves it. Throws one sentence for people when it cannot. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { config } = options;
  const live: LiveConfig = { current: config };
  const destination = new LogDestination(1);
  const log = options.log ?? pino({ level: config.logLevel, base: null }, destination);
  const { authority, store, crls } = await openAuthority(config, {
    alarm: (message, fields) => log.error(fields, message),
    ...(options.clock && { clock: options.clock }),
    exclusive: true,
    store: options.worker?.store,
  });
  const opened: { close(): unknown }[] = [];
  try {
    const own = await OwnIdentity.open({
      authority,
      file: join(config.dataDir, "server.pem"),
      names: withPublicHost(options.hosts, config.publicUrl.hostname),
      profile: ownProfile("countersign-server", ["serverAuth"]),
      passphrase: config.issuers[0].passphrase?.reveal(),
    });
    const frameworkLog = log.child({}, { level: frameworkLevel(config.logLevel) });
    const patienceMs = options.worker?.first === false ? OTHERS_WAIT_MS : 0;
    const revocation = await openRevocation({ live, authority, store, crls, patienceMs, log });
    const readMetrics = options.worker?.readMetrics;
    const app = await buildServer({
      ...{ live, authority, identity: own.held.identity, revocation, log: frameworkLog },
      ...(readMetrics && { readMetrics }),
    });
    opened.push(app);
    countDroppedLines(app.metricsRegistry, () => destination.dropped);
    await app.ready();
    // The kernel spreads connections over workers; one that dies takes none with it but its own.
    const shared = options.worker ? { reusePort: true as const } : {};
    const { host, port } = config.listeners.tls;
    await app.listen({ host, port, ...shared });
    const tls = app.server as unknown as TlsServer;
    stapleOcsp(tls, revocation, () => own.held, log);
    const { metrics, plain } = await listenBeside({
      ...{ live, app, revocation, shared },
      ...{ log: frameworkLog, opened: (one) => opened.push(one) },
    });

    const useRenewed = ({ identity, certificate }: OwnIdentity["held"]) => {
      swapIdentity(tls, identity, tlsSettingsOf(live.current, authority.issuers));
      log.info({ serial: certificate.serial }, "the service's own certificate was renewed");
    };
    const ownDuty = own.duty({
      name: "the service's own certificate",
      patienceMs,
      renewed: useRenewed,
    });
    const clock = () => authority.now();
    const duties = startDuties([ownDuty, ...revocation.duties], { clock, log });

    const plainServer = plain?.server;
    return {
      get config() {
        return live.current;
      },
      authority,
      app,
      store,
      log,
      address: app.server.address() as AddressInfo,
      plainAddress: plain?.server.address() as AddressInfo | undefined,
      exampleSubject: baseSubject(authority.issuers.active),
      reload: (next) =>
        reloadService(
          {
            ...{ live, authority, store, crls, tls, plain: plainServer, log, frameworkLog },
            identity: own.held.identity,
          },
          next,
        ),
      renewOwnCertificate: async () => {
        await own.replace();
        useRenewed(own.held);
      },
      stop: async () => {
        await stopInTime(tls, duties, [app, plain, metrics]);
        await store.close();
      },
    };
  } catch (error) {
    // What listens already would keep the process: a port that is taken is told, and ends it.
    await Promise.allSettled(opened.map((one) => one.close()));
    await store.close();
    throw error;
  }
}

/** The listeners beside that of TLS, where the configuration has them. */
async function listenBeside(parts: {
  readonly live: LiveConfig;
  readonly app: FastifyInstance;
  readonly revocation: RevocationParts;
  readonly shared: { readonly reusePort?: true };
  readonly log: FastifyBaseLogger;
  readonly opened: (listener: { close(): unknown }) => void;
}) {
  const { live, app, revocation, shared, log, opened } = parts;
  const { listeners, timeouts } = live.current;
  const { metrics: metricsAt, http: plainAt } = listeners;
  const metrics =
    metricsAt && (await listenForMetrics(app.metricsSource, { ...metricsAt, ...shared }, timeouts));
  if (metrics) opened(metrics);
  const plain = plainAt && (await buildPlainServer(revocation, live, log, app.countRequest));
  if (plain) opened(plain);
  if (plain && plainAt) await plain.listen({ ...plainAt, ...shared });
  return { metrics, plain };
}

function withPublicHost(hosts: readonly GeneralName[], hostname: string): GeneralName[] {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const kind = /^[\d.]+$|:/.test(host) ? "ip" : "dns";
  const known = hosts.some((one) => one.value === host);
  return known ? [...hosts] : [{ kind, value: host }, ...hosts];
}

function baseSubject(issuer: Issuer): string {
  return attributesOf(issuer.certificate.subject)
    .map(({ type, value }) => ({ name: findAttributeType(type)?.shortName ?? type, value }))
    .filter(({ name }) => name !== "CN")
    .map(({ name, value }) => `/${name}=${value.replace(/[/\\+]/g, "\\$&")}`)
    .join("");
}
