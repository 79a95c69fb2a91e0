/** What the routes share that take a CSR and answer with a certificate. */

import type { FastifyRequest } from "fastify";
import { Problem } from "../../problem.ts";
import { chooseType, derType, pemChainType, unwrap } from "../bodies.ts";
import { rawTypes } from "../body-types.ts";
import { exampleCsr } from "../example-csr.ts";

/** The Idempotency-Key of a request; a Problem for one that cannot be kept. */
export function readIdempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key === "string" && /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new Problem({
    code: "malformed-request",
    detail: "Idempotency-Key must be 1 to 255 visible ASCII characters, once.",
  });
}

/** The media type of the answer: JSON or PEM first, as the request was. Throws a Problem. */
export function chooseIssuedType(request: FastifyRequest, json: boolean): string {
  const first = json ? "application/json" : pemChainType;
  const others = ["application/json", pemChainType, derType].filter((type) => type !== first);
  return unwrap(chooseType(request, [first, ...others]));
}

/** The answer with a certificate, for OpenAPI. */
export function issuedAnswer(description: string) {
  return {
    description,
    headers: {
      Location: { schema: { type: "string" }, description: "Where the entry stands." },
      "Countersign-Notice": {
        schema: { type: "string" },
        description:
          "What of the request was dropped or changed; one header line a notice, about 4 KiB in all.",
      },
    },
    content: {
      [pemChainType]: { schema: { type: "string" } },
      [derType]: { schema: { type: "string", format: "binary" } },
      "application/json": { schema: { $ref: "IssuedCertificate#" } },
    },
  };
}

/** Raw forms carry bytes that the CSR reader judges; only JSON has a schema to hold it against. */
export function csrContent(name: string) {
  const raw = Object.fromEntries(
    rawTypes.map((type) => [type, { schema: {}, example: exampleCsr }]),
  );
  return {
    content: {
      ...raw,
      "application/x-www-form-urlencoded": { schema: {} },
      "application/json": { schema: { $ref: `${name}#` } },
    },
  };
}
