import { createServer } from "node:http";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import { timeOrderedId } from "../authority/time-ordered-id.ts";
import { answerClientError } from "./client-error.ts";
import { answerWithProblems, refusalOf, sendProblem } from "./problem.ts";
import { answerFirst, type Surroundings } from "./revocation/handler.ts";
import { type RevocationParts, revocationOperations } from "./revocation/routes.ts";
import { KEEP_ALIVE_MS, overdueInterval } from "./tls.ts";

export interface PlainTimeouts {
  readonly headersSeconds: number;
  readonly requestSeconds: number;
  readonly stalledReaderSeconds: number;
}

/** The routes of REST are on the TLS listener: no answer here sends anybody to them. */
const noRoutes = {};

/**
 * The plain HTTP listener: CRL, OCSP and issuer certificates, which relying parties must be able to
 * read without TLS (RFC 5280 8). Nothing else, and nothing that changes anything.
 */
export async function buildPlainServer(
  parts: RevocationParts,
  log: FastifyBaseLogger,
  timeouts: PlainTimeouts,
  count: Surroundings["count"],
): Promise<FastifyInstance> {
  const operations = revocationOperations(parts);
  const app = Fastify({
    loggerInstance: log,
    genReqId: timeOrderedId,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: "idle",
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      sendProblem(request as never, reply as never, refusalOf(error), noRoutes);
    },
    serverFactory: (next) => {
      const isOpen = () => server.listening;
      const server = createServer(
        {
          headersTimeout: timeouts.headersSeconds * 1000,
          requestTimeout: timeouts.requestSeconds * 1000,
          keepAliveTimeout: KEEP_ALIVE_MS,
          connectionsCheckingInterval: overdueInterval(timeouts.headersSeconds),
        },
        answerFirst(operations, { log, ...(count && { count }) }, { next, isOpen }),
      );
      server.timeout = timeouts.stalledReaderSeconds * 1000;
      return server;
    },
  });
  answerWithProblems(app, noRoutes);
  app.removeAllContentTypeParsers();
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      {
        code: "not-found",
        detail:
          "This listener serves /crl/, /ocsp and /issuers/ only. Everything else is on the TLS listener.",
      },
      noRoutes,
    ),
  );
  await app.ready();
  return app;
}
