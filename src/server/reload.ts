/** Takes a new configuration while serving: everything that may change is changed at once. */

import type { Server as PlainServer } from "node:http";
import type { Server as TlsServer } from "node:https";
import type { FastifyBaseLogger } from "fastify";
import type { Authority } from "../authority/authority.ts";
import type { CrlPublishers } from "../authority/crl/publishers.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { crlTerms, openRules } from "../config/open-authority.ts";
import type { LiveConfig } from "../config/reload/live.ts";
import type { Store } from "../store/store.ts";
import { frameworkLevel } from "./log/level.ts";
import { tlsSettingsOf } from "./server.ts";
import { type ServerIdentity, swapIdentity } from "./tls.ts";

export interface ReloadedParts {
  readonly live: LiveConfig;
  readonly authority: Authority;
  readonly store: Store;
  readonly crls: CrlPublishers;
  readonly tls: TlsServer;
  /** What the TLS listener presents itself with. */
  readonly identity: ServerIdentity;
  readonly plain: PlainServer | undefined;
  readonly log: FastifyBaseLogger;
  readonly frameworkLog: FastifyBaseLogger;
}

/**
 * Brings a configuration into force. Throws an Error in one sentence for people when it cannot be
 * used: then nothing has changed. What is read from `live` needs no line here.
 */
export async function reloadService(parts: ReloadedParts, next: CompiledConfig): Promise<void> {
  const { live, authority, store, crls, tls, identity, plain, log, frameworkLog } = parts;
  const rules = await openRules(next, authority.issuers.active, store, authority.now());
  // From here on nothing is waited for and nothing fails.
  authority.replaceRules(rules);
  crls.replaceTerms(crlTerms(next));
  live.current = next;
  for (const server of [tls, plain]) {
    if (server === undefined) continue;
    server.headersTimeout = next.timeouts.headersSeconds * 1000;
    server.requestTimeout = next.timeouts.requestSeconds * 1000;
    server.timeout = next.timeouts.stalledReaderSeconds * 1000;
  }
  // The strict mode verifies with the issuers themselves, the other one only names them.
  swapIdentity(tls, identity, tlsSettingsOf(next, authority.issuers));
  // Node reads it at each handshake, but does not list it; test/attacks/s36-reload.test.ts sees it work.
  Object.assign(tls, { rejectUnauthorized: next.listeners.tls.requireClientCertificate });
  log.level = next.logLevel;
  frameworkLog.level = frameworkLevel(next.logLevel);
}
