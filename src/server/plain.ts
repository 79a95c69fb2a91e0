import { createServer } from "node:http";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import { timeOrderedId } from "../authority/time-ordered-id.ts";
import type { LiveConfig } from "../config/reload/live.ts";
import { answerClientError } from "./http/client-error.ts";
import { parserOptions, receive, settle } from "./http/server.ts";
import { limitAddresses } from "./limits.ts";
import { answerWithProblems, refusalOf, sendProblem } from "./problem.ts";
import { answerFirst, type Surroundings } from "./revocation/handler.ts";
import { type RevocationParts, revocationOperations } from "./revocation/routes.ts";

/** The routes of REST are on the TLS listener: no answer here sends anybody to them. */
const noRoutes = {};

/**
 * The plain HTTP listener: CRL, OCSP and issuer certificates, which relying parties must be able to
 * read without TLS (RFC 5280 8). Nothing else, and nothing that changes anything. It counts the
 * requests of an address by itself: what one does on the TLS listener takes nothing from it.
 */
export async function buildPlainServer(
  parts: RevocationParts,
  live: LiveConfig,
  log: FastifyBaseLogger,
  count: Surroundings["count"],
): Promise<FastifyInstance> {
  const operations = revocationOperations(parts);
  const { timeouts } = live.current;
  const app = Fastify({
    loggerInstance: log,
    genReqId: timeOrderedId,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: "idle",
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      sendProblem(request as never, reply as never, refusalOf(error), noRoutes);
    },
    serverFactory: (next) => {
      const isOpen = () => server.listening;
      const admit = (address: string) => limitAddress(address);
      const surroundings: Surroundings = { log, admit, ...(count && { count }) };
      const listener = answerFirst(operations, surroundings, { next, isOpen });
      const server = createServer(parserOptions(timeouts), receive(listener));
      settle(server, timeouts);
      return server;
    },
  });
  answerWithProblems(app, noRoutes);
  const limitAddress = await limitAddresses(app, () => live.current.rates?.perAddress);
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
