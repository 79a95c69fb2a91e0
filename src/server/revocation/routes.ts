/** What RFC 5280 and 6960 want over plain HTTP: CRL, OCSP, issuer certificates. TLS serves it too. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { OcspAnswer } from "../../authority/ocsp/issuer-responder.ts";
import type { OcspResponder } from "../../authority/ocsp/responder.ts";
import { type CrlParts, crlRoutes } from "./crl-routes.ts";
import {
  answerOcsp,
  LARGEST_OCSP_REQUEST,
  ocspHeaders,
  ocspRequestType,
  ocspResponseType,
} from "./ocsp-answer.ts";

export interface RevocationParts extends CrlParts {
  readonly ocsp: OcspResponder;
}

const nothing = new Uint8Array(0);

/** Adds the routes to an application, plain or TLS. */
export function revocationRoutes(app: FastifyInstance, parts: RevocationParts): void {
  crlRoutes(app, parts);
  ocspRoutes(app, parts.ocsp);
}

function ocspRoutes(app: FastifyInstance, responder: OcspResponder): void {
  const response = {
    200: {
      description: "The answer, signed; errors of RFC 6960 are answers too.",
      content: { [ocspResponseType]: { schema: { type: "string", format: "binary" } } },
    },
  };
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      ocspRequestType,
      { parseAs: "buffer", bodyLimit: LARGEST_OCSP_REQUEST },
      async (_: FastifyRequest, body: Buffer) => body,
    );
    scope.post(
      "/ocsp",
      {
        config: { caller: "ocsp" },
        schema: {
          operationId: "ocspPost",
          tags: ["revocation"],
          summary: "OCSP by POST (RFC 6960 A.1)",
          body: { content: { [ocspRequestType]: { schema: {} } } },
          response,
        },
      },
      async (request, reply) =>
        sendAnswer(
          reply,
          await answerOcsp(responder, (request.body as Buffer | undefined) ?? nothing),
        ),
    );
  });
  app.get(
    "/ocsp/*",
    {
      config: { caller: "ocsp" },
      schema: {
        operationId: "ocspGet",
        tags: ["revocation"],
        summary: "OCSP by GET: the request in base64, URL-encoded (RFC 6960 A.1, RFC 5019)",
        params: {
          type: "object",
          properties: { request: { type: "string", description: "Base64 of the request." } },
        },
        response,
      },
    },
    async (request, reply) => {
      const text = (request.params as { "*": string })["*"];
      return sendAnswer(reply, await answerOcsp(responder, Buffer.from(text, "base64")));
    },
  );
}

function sendAnswer(reply: FastifyReply, answer: OcspAnswer): FastifyReply {
  for (const [name, value] of ocspHeaders(answer)) reply.header(name, value);
  return reply.send(Buffer.from(answer.der));
}
