/** CRLs and issuers' certificates, as RFC 5280 4.2.1.13 and 4.2.2.1 want them over HTTP. */

import type { FastifyInstance, FastifyRequest } from "fastify";
import type { PublishedCrl } from "../../authority/crl/publisher.ts";
import type { CrlPublishers } from "../../authority/crl/publishers.ts";
import { completeCrl, parseCrlName } from "../../authority/crl/scope.ts";
import { type Issuers, issuerIdOf } from "../../authority/issuers.ts";
import { Problem } from "../problem.ts";
import { etagOf, sendCacheable } from "./cacheable.ts";
import { bufferOf, crlEtag, crlPem } from "./crl-bodies.ts";

export interface CrlParts {
  readonly issuers: Issuers;
  readonly crls: CrlPublishers;
  /** The root's own CRL, as `countersign crl publish --root` left it; undefined when there is none. */
  readonly rootCrl: () => Pick<PublishedCrl, "der" | "thisUpdate" | "nextUpdate"> | undefined;
}

const certificateType = "application/pkix-cert";
const formats = [
  { suffix: "crl", type: "application/pkix-crl", label: "DER", id: "readCrl" },
  { suffix: "pem", type: "application/x-pem-file", label: "PEM", id: "readCrlPem" },
] as const;
const issuerParam = { type: "string", description: "Name of the issuer: GET /v1/ca." };

export function crlRoutes(app: FastifyInstance, parts: CrlParts): void {
  for (const { suffix, type, label, id } of formats) {
    const handler = async (request: FastifyRequest, reply: Parameters<typeof sendCacheable>[1]) => {
      const list = await findCrl(request, parts);
      return sendCacheable(request, reply, {
        ...list,
        type,
        etag: crlEtag(list.der),
        body: () => (suffix === "crl" ? bufferOf(list.der) : crlPem(list.der)),
      });
    };
    const response = binary(type, "The list; fresh until nextUpdate.");
    const config = { caller: "public", refuses: ["not-found"] } as const;
    app.get(
      `/crl/:issuer(^[0-9a-f]{16}$).${suffix}`,
      {
        config,
        schema: {
          operationId: id,
          tags: ["revocation"],
          summary: `The current CRL, ${label}`,
          params: { type: "object", properties: { issuer: issuerParam } },
          response,
        },
      },
      handler,
    );
    app.get(
      `/crl/:issuer(^[0-9a-f]{16}$)/:list(^[0-9a-z-]{1,17}$).${suffix}`,
      {
        config,
        schema: {
          operationId: `${id}Part`,
          tags: ["revocation"],
          summary: `The delta CRL, or the CRL of a partition, or its delta; ${label}`,
          params: {
            type: "object",
            properties: {
              issuer: issuerParam,
              list: {
                type: "string",
                description:
                  "`delta` (`crl.deltaValidity`); `3of16`, as the certificate's distribution point says (`crl.partitions`); `3of16-delta`.",
              },
            },
          },
          response,
        },
      },
      handler,
    );
  }
  issuerRoute(app, parts.issuers);
}

function issuerRoute(app: FastifyInstance, issuers: Issuers): void {
  app.get(
    "/issuers/:issuer(^[0-9a-f]{16}$).crt",
    {
      config: { caller: "public", refuses: ["not-found"] },
      schema: {
        operationId: "readIssuer",
        tags: ["revocation"],
        summary: "An issuer's certificate, DER (AIA caIssuers)",
        params: { type: "object", properties: { issuer: issuerParam } },
        response: binary(certificateType, "The certificate."),
      },
    },
    async (request, reply) => {
      const { issuer: id } = request.params as { issuer: string };
      const found = issuers.certificates.find((one) => issuerIdOf(one.spki) === id);
      if (found === undefined) throw unknownIssuer(id);
      const dayAhead = new Date(Date.now() + 86_400_000);
      return sendCacheable(request, reply, {
        type: certificateType,
        etag: etagOf(found.der),
        thisUpdate: found.notBefore,
        nextUpdate: found.notAfter < dayAhead ? found.notAfter : dayAhead,
        body: () => bufferOf(found.der),
      });
    },
  );
}

function binary(type: string, description: string) {
  return {
    200: { description, content: { [type]: { schema: { type: "string", format: "binary" } } } },
    304: { description: "Unchanged since the ETag or the time given.", type: "null" },
  };
}

async function findCrl(request: FastifyRequest, { issuers, crls, rootCrl }: CrlParts) {
  const { issuer: id, list } = request.params as { issuer: string; list?: string };
  const name = list === undefined ? completeCrl : parseCrlName(list);
  const publisher = crls.byIssuer(id);
  if (publisher !== undefined) {
    const found = name && (await publisher.find(name));
    if (found !== undefined) return found;
    throw new Problem({
      code: "not-found",
      detail: `There is no list ${list} here: no certificate and no list names it.`,
    });
  }
  const isRoot = id === issuerIdOf(issuers.active.root.spki) && list === undefined;
  const found = isRoot ? rootCrl() : undefined;
  if (found === undefined) throw unknownIssuer(id);
  return found;
}

function unknownIssuer(id: string): Problem {
  return new Problem({
    code: "not-found",
    detail: `There is nothing for an issuer ${id} here; GET /v1/ca names the issuers.`,
  });
}
