/** What RFC 5280 and 6960 want over plain HTTP: CRL, OCSP, issuer certificates. TLS serves it too. */

import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { CrlPublisher, PublishedCrl } from "../../authority/crl.ts";
import type { Issuer } from "../../authority/issuer.ts";
import { issuerIdOf } from "../../authority/issuer.ts";
import type { OcspAnswer, OcspResponder } from "../../authority/ocsp.ts";
import { encodePem } from "../../der/pem.ts";
import { Problem } from "../problem.ts";
import {
  answerOcsp,
  LARGEST_OCSP_REQUEST,
  ocspHeaders,
  ocspRequestType,
  ocspResponseType,
} from "./ocsp-answer.ts";

export interface RevocationParts {
  readonly issuer: Issuer;
  readonly crl: CrlPublisher;
  readonly ocsp: OcspResponder;
  /** The root's own CRL, as `countersign crl publish --root` left it; undefined when there is none. */
  readonly rootCrl: () => Pick<PublishedCrl, "der" | "thisUpdate" | "nextUpdate"> | undefined;
}

const crlType = "application/pkix-crl";
const pemType = "application/x-pem-file";
const certificateType = "application/pkix-cert";
const nothing = new Uint8Array(0);

/** Adds the routes to an application, plain or TLS. */
export function revocationRoutes(app: FastifyInstance, parts: RevocationParts): void {
  const binary = (type: string, description: string) => ({
    200: { description, content: { [type]: { schema: { type: "string", format: "binary" } } } },
    304: { description: "Unchanged since the ETag or the time given.", type: "null" },
  });
  const params = {
    type: "object",
    properties: { issuer: { type: "string", description: "Name of the issuer: GET /v1/ca." } },
  };
  for (const [suffix, type] of [
    ["crl", crlType],
    ["pem", pemType],
  ] as const) {
    app.get(
      `/crl/:issuer(^[0-9a-f]{16}$).${suffix}`,
      {
        config: { caller: "public", refuses: ["not-found"] },
        schema: {
          operationId: suffix === "crl" ? "readCrl" : "readCrlPem",
          tags: ["revocation"],
          summary: `The current CRL, ${suffix === "crl" ? "DER" : "PEM"}`,
          params,
          response: binary(type, "The list; fresh until nextUpdate."),
        },
      },
      async (request, reply) => {
        const list = await findCrl(request, parts);
        const body = suffix === "crl" ? Buffer.from(list.der) : encodePem("X509 CRL", list.der);
        return sendCacheable(request, reply, type, body, list);
      },
    );
  }
  app.get(
    "/issuers/:issuer(^[0-9a-f]{16}$).crt",
    {
      config: { caller: "public", refuses: ["not-found"] },
      schema: {
        operationId: "readIssuer",
        tags: ["revocation"],
        summary: "An issuer's certificate, DER (AIA caIssuers)",
        params,
        response: binary(certificateType, "The certificate."),
      },
    },
    async (request, reply) => {
      const { issuer: id } = request.params as { issuer: string };
      const { issuer } = parts;
      const found = [issuer.certificate, ...issuer.intermediates, issuer.root].find(
        (one) => issuerIdOf(one.spki) === id,
      );
      if (found === undefined) throw unknownIssuer(id);
      const dayAhead = new Date(Date.now() + 86_400_000);
      return sendCacheable(request, reply, certificateType, Buffer.from(found.der), {
        thisUpdate: found.notBefore,
        nextUpdate: found.notAfter < dayAhead ? found.notAfter : dayAhead,
      });
    },
  );
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

async function findCrl(request: FastifyRequest, parts: RevocationParts) {
  const { issuer: id } = request.params as { issuer: string };
  if (id === parts.issuer.id) return parts.crl.current();
  const root = id === issuerIdOf(parts.issuer.root.spki) ? parts.rootCrl() : undefined;
  if (root === undefined) throw unknownIssuer(id);
  return root;
}

function sendCacheable(
  request: FastifyRequest,
  reply: FastifyReply,
  type: string,
  body: Buffer | string,
  { thisUpdate, nextUpdate }: { thisUpdate: Date; nextUpdate: Date },
): FastifyReply {
  const etag = etagOf(body);
  reply
    .header("etag", etag)
    .header("last-modified", thisUpdate.toUTCString())
    .header("cache-control", `public, max-age=${secondsUntil(nextUpdate)}`)
    .header("expires", nextUpdate.toUTCString());
  const { "if-none-match": known, "if-modified-since": since } = request.headers;
  const unchanged =
    known === undefined
      ? since !== undefined && Date.parse(since) >= Math.floor(thisUpdate.getTime() / 1000) * 1000
      : known.split(",").some((one) => one.trim() === etag || one.trim() === "*");
  return unchanged ? reply.code(304).send() : reply.type(type).send(body);
}

function etagOf(body: Uint8Array | string): string {
  return `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
}

function secondsUntil(date: Date): number {
  return Math.max(0, Math.floor((date.getTime() - Date.now()) / 1000));
}

function unknownIssuer(id: string): Problem {
  return new Problem({
    code: "not-found",
    detail: `There is nothing for an issuer ${id} here; GET /v1/ca names the issuers.`,
  });
}
