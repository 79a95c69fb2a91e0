import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import { refusalOf, sendProblem } from "./problem.ts";
import { answerOcspFirst } from "./revocation/ocsp-connections.ts";
import { type RevocationParts, revocationRoutes } from "./revocation/routes.ts";

/**
 * The plain HTTP listener's application: CRL, OCSP and issuer certificates, which relying parties
 * must be able to read without TLS (RFC 5280 8). It names no route of REST, which is not here.
 */
export async function buildPlainServer(
  parts: RevocationParts,
  log: FastifyBaseLogger,
  timeouts: { readonly headersSeconds: number; readonly requestSeconds: number },
): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { maxParamLength: 24_000 },
    requestTimeout: timeouts.requestSeconds * 1000,
    http: { headersTimeout: timeouts.headersSeconds * 1000 },
    forceCloseConnections: "idle",
    frameworkErrors: (error, request, reply) => {
      sendProblem(request as never, reply as never, refusalOf(error), {});
    },
  });
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error);
    if (refusal.code === "internal-error" || refusal.code.endsWith("-unavailable")) {
      request.log.error({ err: error }, "request failed");
    }
    return sendProblem(request, reply, refusal, {});
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      {
        code: "not-found",
        detail:
          "This listener serves /crl/, /ocsp and /issuers/ only. Everything else is on the TLS listener.",
      },
      {},
    ),
  );
  revocationRoutes(app, parts);
  const connections = answerOcspFirst(app.server, parts.ocsp);
  app.addHook("preClose", async () => connections.close());
  await app.ready();
  return app;
}
