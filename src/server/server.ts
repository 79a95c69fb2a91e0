/** Composes everything, in plain code: what listens, what it serves, who may call. */

import type http from "node:http";
import type { Server as TlsServer } from "node:https";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import type { Authority } from "../authority/authority.ts";
import type { Issuers } from "../authority/issuers.ts";
import { timeOrderedId } from "../authority/time-ordered-id.ts";
import type { CompiledConfig } from "../config/compile.ts";
import type { LiveConfig } from "../config/reload/live.ts";
import { refused } from "../refusal.ts";
import { version } from "../version.ts";
import { nameOnlyPem } from "../x509/certificate/name-only.ts";
import { parseCertificateChain } from "../x509/certificate/read.ts";
import { type CallerRule, requireCallers } from "./caller.ts";
import { answerClientError } from "./http/client-error.ts";
import { limitRequests } from "./limits.ts";
import { countRequests } from "./metrics.ts";
import { describeRoutes } from "./openapi.ts";
import { answerWithProblems, refusalOf, sendProblem } from "./problem.ts";
import { restScope } from "./rest/scope.ts";
import { answerFirst, type Surroundings } from "./revocation/handler.ts";
import type { Operation } from "./revocation/operation.ts";
import {
  documentOperations,
  type RevocationParts,
  revocationOperations,
} from "./revocation/routes.ts";
import { routePattern } from "./route-pattern.ts";
import { type OwnOrigins, refuseForeignPages } from "./same-origin.ts";
import { createTlsServer, type ServerIdentity, type TlsSettings } from "./tls.ts";

export interface ServerParts {
  readonly live: LiveConfig;
  readonly authority: Authority;
  readonly identity: ServerIdentity;
  readonly revocation: RevocationParts;
  readonly log: FastifyBaseLogger;
  /** Metrics of all workers, where this process is one of several. */
  readonly readMetrics?: () => Promise<string>;
}

/** The most that `limits.bodyBytes` may say. */
const HIGHEST_BODY_BYTES = 65_536;

/**
 * Builds the REST service on a TLS server that does not listen yet; `ready()` checks the route
 * table. Needs no network and no database of its own: OpenAPI is generated from this same object.
 */
export async function buildServer(parts: ServerParts): Promise<FastifyInstance> {
  const { live, authority } = parts;
  const { name, publicUrl } = live.current;
  const operations = revocationOperations(parts.revocation);
  const surroundings: Surroundings = {
    log: parts.log,
    admit: (address) => limitAddress(address),
    count: (request) => app.countRequest(request),
  };
  const app: FastifyInstance = Fastify({
    loggerInstance: parts.log,
    logController: new LogController({ disableRequestLogging: true }),
    // In the order of time, so that the audit's index of them grows at its end.
    genReqId: timeOrderedId,
    requestIdHeader: false,
    // The scopes hold their bodies against `limits.bodyBytes`, which a reload changes.
    bodyLimit: HIGHEST_BODY_BYTES,
    routerOptions: { maxParamLength: 24_000, caseSensitive: true },
    exposeHeadRoutes: true,
    // What still comes on open connections is answered, and ends them.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      sendProblem(request as never, reply as never, refusalOf(error));
    },
    // Fastify types its server as plain HTTP here; the TLS one is a drop-in for all that it uses.
    serverFactory: (next) =>
      tlsServerFor(parts, operations, surroundings, next) as unknown as http.Server,
  });
  // What holds for every protocol stands here; what is one protocol's own, on its scope.
  answerWithProblems(app);
  app.removeAllContentTypeParsers();
  nameMethods(app);
  await describeRoutes(app, { name, version, publicUrl: publicUrl.origin });
  // Before anyone is asked who he is: proving that costs more than counting.
  const limitAddress = await limitRequests(app, () => live.current.rates);
  requireCallers(app, authority, () => live.current.indexReaders);
  refuseForeignPages(app, authority, ownOrigins(parts));
  const registry = countRequests(app, authority, parts.revocation.rootCrl);
  app.decorate("metricsRegistry", registry);
  const { readMetrics } = parts;
  const metrics = readMetrics
    ? { contentType: registry.contentType, metrics: readMetrics }
    : registry;
  app.decorate("metricsSource", metrics);

  await app.register(restScope, { live, authority, metrics });
  documentOperations(app, operations);
  return app;
}

function tlsServerFor(
  parts: ServerParts,
  operations: readonly Operation[],
  surroundings: Surroundings,
  next: http.RequestListener,
): TlsServer {
  const settings = tlsSettingsOf(parts.live.current, parts.authority.issuers);
  const isOpen = () => server.listening;
  const listener = answerFirst(operations, surroundings, { next, isOpen });
  const server = createTlsServer(parts.identity, settings, listener);
  return server;
}

/** The names of our own pages: the public address and what the service's certificate holds. */
function ownOrigins({ live, identity }: ServerParts): OwnOrigins {
  const chain = parseCertificateChain(identity.certificateChain);
  const names = chain.ok ? (chain.value[0]?.subjectAltNames ?? []) : [];
  return { publicOrigin: live.current.publicUrl.origin, names: names.map((one) => one.value) };
}

/** How the TLS listener behaves, from the configuration. */
export function tlsSettingsOf(config: CompiledConfig, issuers: Issuers): TlsSettings {
  const { requireClientCertificate } = config.listeners.tls;
  return {
    authoritiesPem: requireClientCertificate
      ? issuers.certificatesPem
      : issuers.certificates.map(nameOnlyPem).join(""),
    requireClientCertificate,
    handshakeTimeoutSeconds: config.timeouts.handshakeSeconds,
    timeouts: config.timeouts,
    address: config.publicUrl.origin,
  };
}

/** An address that no scope has is 404; a method that an address does not have is 405. */
function nameMethods(app: FastifyInstance): void {
  const routes = collectRoutes(app);
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsAt(routes, request.url);
    if (methods.length === 0) {
      const { refusal } = refused(
        "not-found",
        "There is nothing at this address. GET /openapi.json lists the routes.",
      );
      return sendProblem(request, reply, refusal);
    }
    const { refusal } = refused(
      "method-not-allowed",
      `${request.method} is not allowed here; there is: ${methods.join(", ")}.`,
    );
    reply.header("allow", methods.join(", "));
    return sendProblem(request, reply, refusal);
  });
}

/** The methods that a path answers to, from the routes themselves. */
function methodsAt(routes: readonly RoutePattern[], url: string): string[] {
  const path = url.split("?", 1)[0] ?? "/";
  return [...new Set(routes.filter((one) => one.pattern.test(path)).map((one) => one.method))];
}

/** A route as it was registered: who may call it stands beside where it is. */
export interface RoutePattern {
  readonly method: string;
  readonly url: string;
  readonly caller: CallerRule | undefined;
  readonly pattern: RegExp;
}

declare module "fastify" {
  interface FastifyInstance {
    /** Every route there is; tests walk it. */
    routeTable: readonly RoutePattern[];
  }
}

/** Remembers every route as a pattern, so that a wrong method can be told from a wrong path. */
function collectRoutes(app: FastifyInstance): readonly RoutePattern[] {
  const routes: RoutePattern[] = [];
  app.decorate("routeTable", routes);
  app.addHook("onRoute", (route) => {
    const { method, url } = route;
    const pattern = routePattern(url);
    for (const one of [method].flat()) {
      // The hook of an inner scope may still add the caller: read it when it is asked for.
      const caller = () => route.config?.caller;
      routes.push({
        method: one,
        url,
        pattern,
        get caller() {
          return caller();
        },
      });
    }
  });
  return routes;
}
