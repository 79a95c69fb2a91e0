/** CRLs and issuers' certificates, as RFC 5280 4.2.1.13 and 4.2.2.1 want them over HTTP. */

import type { CrlPublishers } from "../../authority/crl/publishers.ts";
import type { RootList } from "../../authority/crl/root-list.ts";
import { completeCrl, parseCrlName } from "../../authority/crl/scope.ts";
import { type Issuers, issuerIdOf } from "../../authority/issuers.ts";
import { Problem } from "../problem.ts";
import { cacheableAnswer, etagOf } from "./cacheable.ts";
import { bufferOf, crlEtag, crlPem } from "./crl-bodies.ts";
import type { Call, Operation } from "./operation.ts";

export interface CrlParts {
  readonly issuers: Issuers;
  readonly crls: CrlPublishers;
  /** The root's own CRL, as `init` or `countersign crl publish --root` left it; undefined when there is none. */
  readonly rootCrl: () => RootList | undefined;
}

const certificateType = "application/pkix-cert";
const formats = [
  { suffix: "crl", type: "application/pkix-crl", label: "DER", id: "readCrl" },
  { suffix: "pem", type: "application/x-pem-file", label: "PEM", id: "readCrlPem" },
] as const;
const issuerParam = { type: "string", description: "Name of the issuer: GET /v1/ca." };
const listParam = {
  type: "string",
  description:
    "`delta` (`crl.deltaValidity`); `3of16`, as the certificate's distribution point says (`crl.partitions`); `3of16-delta`.",
};

/** The lists of every issuer in both forms, and the issuers' certificates. */
export function crlOperations(parts: CrlParts): readonly Operation[] {
  const lists = formats.flatMap(({ suffix, type, label, id }) => {
    const common = {
      method: "GET",
      caller: "public",
      refuses: ["not-found"],
      answer: async ({ headers, params }: Call) => {
        const list = await findCrl(params, parts);
        return cacheableAnswer(headers, {
          ...list,
          type,
          etag: crlEtag(list.der),
          body: () => (suffix === "crl" ? bufferOf(list.der) : crlPem(list.der)),
        });
      },
    } as const;
    const response = binary(type, "The list; fresh until nextUpdate.");
    const complete: Operation = {
      ...common,
      url: `/crl/:issuer(^[0-9a-f]{16}$).${suffix}`,
      schema: {
        operationId: id,
        tags: ["revocation"],
        summary: `The current CRL, ${label}`,
        params: { type: "object", properties: { issuer: issuerParam } },
        response,
      },
    };
    const part: Operation = {
      ...common,
      url: `/crl/:issuer(^[0-9a-f]{16}$)/:list(^[0-9a-z-]{1,17}$).${suffix}`,
      schema: {
        operationId: `${id}Part`,
        tags: ["revocation"],
        summary: `The delta CRL, or the CRL of a partition, or its delta; ${label}`,
        params: { type: "object", properties: { issuer: issuerParam, list: listParam } },
        response,
      },
    };
    return [complete, part];
  });
  return [...lists, issuerOperation(parts.issuers)];
}

function issuerOperation(issuers: Issuers): Operation {
  return {
    method: "GET",
    url: "/issuers/:issuer(^[0-9a-f]{16}$).crt",
    caller: "public",
    refuses: ["not-found"],
    schema: {
      operationId: "readIssuer",
      tags: ["revocation"],
      summary: "An issuer's certificate, DER (AIA caIssuers)",
      params: { type: "object", properties: { issuer: issuerParam } },
      response: binary(certificateType, "The certificate."),
    },
    answer: ({ headers, params }) => {
      const { issuer: id = "" } = params;
      const found = issuers.certificates.find((one) => issuerIdOf(one.spki) === id);
      if (found === undefined) throw unknownIssuer(id);
      return cacheableAnswer(headers, {
        type: certificateType,
        etag: etagOf(found.der),
        thisUpdate: found.notBefore,
        nextUpdate: dayAheadAtMost(found.notAfter),
        body: () => bufferOf(found.der),
      });
    },
  };
}

function binary(type: string, description: string) {
  return {
    200: { description, content: { [type]: { schema: { type: "string", format: "binary" } } } },
    304: { description: "Unchanged since the ETag or the time given.", type: "null" },
  };
}

async function findCrl(params: Call["params"], { issuers, crls, rootCrl }: CrlParts) {
  const { issuer: id = "", list } = params;
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
  // It is fresh for years. A cache that kept it as long would not see a revocation.
  return { ...found, nextUpdate: dayAheadAtMost(found.nextUpdate) };
}

function dayAheadAtMost(end: Date): Date {
  return new Date(Math.min(end.getTime(), Date.now() + 86_400_000));
}

function unknownIssuer(id: string): Problem {
  return new Problem({
    code: "not-found",
    detail: `There is nothing for an issuer ${id} here; GET /v1/ca names the issuers.`,
  });
}
