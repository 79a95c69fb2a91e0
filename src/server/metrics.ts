/** Prometheus metrics: of the process, of requests by route and status, of what expires next. */

import { createServer } from "node:http";
import Fastify, { type FastifyInstance } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Authority } from "../authority/authority.ts";
import type { RootList } from "../authority/crl/root-list.ts";
import { issuerIdOf } from "../authority/issuers.ts";
import { answerClientError } from "./http/client-error.ts";
import { parserOptions, type RequestTimeouts, receive, settle } from "./http/server.ts";
import { answerWithProblems, refusalOf, sendProblem } from "./problem.ts";

declare module "fastify" {
  interface FastifyInstance {
    /** What this process counts. */
    metricsRegistry: Registry;
    /** What the metrics routes print. */
    metricsSource: MetricsSource;
    /** Counts what is answered before the framework. */
    countRequest: CountRequest;
  }
}

/** A request that was answered. */
export interface CountedRequest {
  readonly method: string;
  /** The pattern of the route, not the address: addresses have no bound. Undefined: there is none. */
  readonly route: string | undefined;
  readonly status: number;
  /** From the first byte of the request to the last of its answer. */
  readonly seconds: number;
}

export type CountRequest = (request: CountedRequest) => void;

/** Metrics as text: of this process, or of all workers. */
export type MetricsSource = Pick<Registry, "contentType" | "metrics">;

/** Upper bounds in seconds: a lone issuance takes milliseconds, a full export minutes. */
const DURATION_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];

/** Counts every request of `app`; gives the registry that a metrics route prints. */
export function countRequests(
  app: FastifyInstance,
  authority: Authority,
  rootList: () => RootList | undefined,
): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "countersign_requests_total",
    help: "Requests by method, route and status.",
    labelNames: ["method", "route", "status"],
    registers: [registry],
  });
  const duration = new Histogram({
    name: "countersign_request_duration_seconds",
    help: "Time from the first byte of a request to the last of its answer.",
    labelNames: ["route"],
    buckets: DURATION_BUCKETS,
    registers: [registry],
  });
  new Gauge({
    name: "countersign_ca_expiry_timestamp_seconds",
    help: "End of validity of the CA certificates, by the name of each in /issuers/ and /crl/.",
    labelNames: ["certificate", "issuer"],
    aggregator: "max",
    registers: [registry],
    collect() {
      const { all, roots } = authority.issuers;
      for (const { id, certificate } of all) {
        this.set({ certificate: "issuing", issuer: id }, certificate.notAfter.getTime() / 1000);
      }
      for (const root of roots) {
        const issuer = issuerIdOf(root.spki);
        this.set({ certificate: "root", issuer }, root.notAfter.getTime() / 1000);
      }
    },
  });
  new Gauge({
    name: "countersign_root_crl_next_update_timestamp_seconds",
    help: "When the root's own CRL ends; absent where there is none.",
    aggregator: "max",
    registers: [registry],
    collect() {
      const list = rootList();
      // Without a list there is no time: a zero would look like one that ended.
      if (list === undefined) this.remove();
      else this.set(list.nextUpdate.getTime() / 1000);
    },
  });
  const count: CountRequest = ({ method, route = "unmatched", status, seconds }) => {
    requests.inc({ method, route, status });
    duration.observe({ route }, seconds);
  };
  app.decorate("countRequest", count);
  app.addHook("onResponse", async (request, reply) => {
    const { method } = request;
    const { statusCode: status, elapsedTime } = reply;
    count({ method, route: request.routeOptions.url, status, seconds: elapsedTime / 1000 });
  });
  return registry;
}

/** Lines of the log that could not be written: asked for when the metrics are read. */
export function countDroppedLines(registry: Registry, dropped: () => number): void {
  new Counter({
    name: "countersign_log_lines_dropped_total",
    help: "Lines of the log that could not be written.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(dropped());
    },
  });
}

/** A listener for metrics alone, plain HTTP; gives the way to close it. */
export async function listenForMetrics(
  source: MetricsSource,
  listener: { readonly host: string; readonly port: number; readonly reusePort?: boolean },
  timeouts: RequestTimeouts,
): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      sendProblem(request as never, reply as never, refusalOf(error), {});
    },
    serverFactory: (next) => {
      const server = createServer(parserOptions(timeouts), receive(next));
      settle(server, timeouts);
      return server;
    },
  });
  answerWithProblems(app, {});
  app.setNotFoundHandler((request, reply) => {
    const detail = "This listener serves GET /metrics only.";
    return sendProblem(request, reply, { code: "not-found", detail }, {});
  });
  metricsRoute(app, source, "public");
  await app.listen(listener);
  return app;
}

/** `GET /metrics`. Over TLS it is for operators; on a listener of its own it asks for nothing. */
export function metricsRoute(
  app: FastifyInstance,
  source: MetricsSource,
  caller: "operator" | "public",
): void {
  app.get(
    "/metrics",
    {
      config: { caller },
      schema: {
        operationId: "metrics",
        tags: ["health"],
        summary: "Prometheus metrics",
        response: {
          200: {
            description: "Text exposition format.",
            content: { "text/plain": { schema: { type: "string" } } },
          },
        },
      },
    },
    async (_request, reply) => reply.type(source.contentType).send(await source.metrics()),
  );
}
