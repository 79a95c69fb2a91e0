/** Composes everything, in plain code: what listens, what it serves, who may call. */

import type http from "node:http";
import type { Server as TlsServer } from "node:https";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import type { Authority } from "../authority/authority.ts";
import type { Issuer } from "../authority/issuer.ts";
import { timeOrderedId } from "../authority/time-ordered-id.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { refused } from "../refusal.ts";
import { version } from "../version.ts";
import { parseCertificateChain } from "../x509/certificate/read.ts";
import { type CallerRule, requireCallers } from "./caller.ts";
import { docsRoutes } from "./docs/docs.ts";
import { limitRequests } from "./limits.ts";
import { countRequests, metricsRoute } from "./metrics.ts";
import { describeRoutes } from "./openapi.ts";
import { refusalOf, sendProblem } from "./problem.ts";
import { auditRoutes } from "./rest/audit.ts";
import { readCsrBodies } from "./rest/bodies.ts";
import { caRoutes } from "./rest/ca.ts";
import { certificateRoutes } from "./rest/certificates/routes.ts";
import { authorityChecks, healthRoutes } from "./rest/health.ts";
import { policyRoutes } from "./rest/policy.ts";
import { renewalInfoRoutes } from "./rest/renewal-info.ts";
import { sharedSchemas } from "./rest/schemas.ts";
import { tokenRoutes } from "./rest/tokens.ts";
import { type RevocationParts, revocationRoutes } from "./revocation/routes.ts";
import { type OwnOrigins, refuseForeignPages } from "./same-origin.ts";
import { createTlsServer, type ServerIdentity, type TlsSettings } from "./tls.ts";

export interface ServerParts {
  readonly config: CompiledConfig;
  readonly authority: Authority;
  readonly identity: ServerIdentity;
  readonly revocation: RevocationParts;
  readonly log: FastifyBaseLogger;
  /** Metrics of all workers, where this process is one of several. */
  readonly readMetrics?: () => Promise<string>;
}

/**
 * Builds the REST service on a TLS server that does not listen yet; `ready()` checks the route
 * table. Needs no network and no database of its own: OpenAPI is generated from this same object.
 */
export async function buildServer(parts: ServerParts): Promise<FastifyInstance> {
  const { config, authority } = parts;
  const app = Fastify({
    loggerInstance: parts.log,
    logController: new LogController({ disableRequestLogging: true }),
    // In the order of time, so that the audit's index of them grows at its end.
    genReqId: timeOrderedId,
    requestIdHeader: false,
    bodyLimit: config.bodyBytes,
    routerOptions: { maxParamLength: 24_000, caseSensitive: true },
    exposeHeadRoutes: true,
    return503OnClosing: true,
    forceCloseConnections: "idle",
    frameworkErrors: (error, request, reply) => {
      sendProblem(request as never, reply as never, refusalOf(error));
    },
    // Fastify types its server as plain HTTP here; the TLS one is a drop-in for all that it uses.
    serverFactory: (listener) => tlsServerFor(parts, listener) as unknown as http.Server,
  });
  answerWithProblems(app);
  validateStrictly(app);
  for (const schema of sharedSchemas) app.addSchema(schema);

  await describeRoutes(app, { name: config.name, version, publicUrl: config.publicUrl.origin });
  // Before anyone is asked who he is: proving that costs more than counting.
  await limitRequests(app, config.rates);
  requireCallers(app, authority);
  refuseForeignPages(app, authority, ownOrigins(parts));
  const registry = countRequests(app, authority);
  app.decorate("metricsRegistry", registry);
  readCsrBodies(app);

  certificateRoutes(app, authority, config.indexReaders);
  renewalInfoRoutes(app, authority);
  caRoutes(app, authority, caUrls(config, authority.issuer));
  policyRoutes(app, authority);
  tokenRoutes(app, authority);
  auditRoutes(app, authority);
  revocationRoutes(app, parts.revocation);
  healthRoutes(app, authorityChecks(authority));
  const { readMetrics } = parts;
  const source = readMetrics
    ? { contentType: registry.contentType, metrics: readMetrics }
    : registry;
  app.decorate("metricsSource", source);
  metricsRoute(app, source, "operator");
  await docsRoutes(app);
  return app;
}

function tlsServerFor(parts: ServerParts, listener: http.RequestListener): TlsServer {
  const settings = tlsSettingsOf(parts.config, parts.authority.issuer);
  return createTlsServer(parts.identity, settings, listener);
}

/** The names of our own pages: the public address and what the service's certificate holds. */
function ownOrigins({ config, identity }: ServerParts): OwnOrigins {
  const chain = parseCertificateChain(identity.certificateChain);
  const names = chain.ok ? (chain.value[0]?.subjectAltNames ?? []) : [];
  return { publicOrigin: config.publicUrl.origin, names: names.map((one) => one.value) };
}

/** How the TLS listener behaves, from the configuration. */
export function tlsSettingsOf(config: CompiledConfig, issuer: Issuer): TlsSettings {
  return {
    rootPem: issuer.rootPem,
    requireClientCertificate: config.listeners.tls.requireClientCertificate,
    handshakeTimeoutSeconds: config.timeouts.handshakeSeconds,
    headersTimeoutSeconds: config.timeouts.headersSeconds,
    requestTimeoutSeconds: config.timeouts.requestSeconds,
  };
}

/** Every error leaves as a problem document, the framework's own included (RFC 9457). */
function answerWithProblems(app: FastifyInstance): void {
  const routes = collectRoutes(app);
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error);
    if (refusal.code === "internal-error" || refusal.code.endsWith("-unavailable")) {
      request.log.error({ err: error, requestId: request.id }, "request failed");
    }
    return sendProblem(request, reply, refusal);
  });
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
    const pattern = new RegExp(`^${patternSource(url)}$`);
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

/** A route's address as a regular expression: `:name`, `:name(expression)` and `*` stand for parts. */
function patternSource(url: string): string {
  return url.replace(
    /:\w+(?:\(\^?([^)]*?)\$?\))?|\*|[.+?^${}()|[\]\\]/g,
    (part, expression: string | undefined) => {
      if (part === "*") return ".*";
      if (!part.startsWith(":")) return `\\${part}`;
      return expression === undefined ? "[^/]+" : `(?:${expression})`;
    },
  );
}

/** Nothing is removed or coerced in silence; only query strings, which are all text, are coerced. */
function validateStrictly(app: FastifyInstance): void {
  const options = { allErrors: true, strict: false, removeAdditional: false, useDefaults: true };
  const exact = new Ajv2020({ ...options, coerceTypes: false });
  const coercing = new Ajv2020({ ...options, coerceTypes: true });
  for (const ajv of [exact, coercing]) {
    addFormats.default(ajv);
    for (const schema of sharedSchemas) ajv.addSchema(schema);
  }
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const ajv = httpPart === "body" ? exact : coercing;
    return ajv.compile(schema as object);
  });
}

function caUrls(config: CompiledConfig, issuer: Issuer) {
  const plain = config.publicHttpUrl?.origin;
  return {
    chain: `${config.publicUrl.origin}/v1/ca/chain`,
    root: `${config.publicUrl.origin}/v1/ca/root`,
    ...(plain !== undefined && {
      crl: `${plain}/crl/${issuer.id}.crl`,
      ocsp: `${plain}/ocsp`,
      issuer: `${plain}/issuers/${issuer.id}.crt`,
    }),
  };
}
