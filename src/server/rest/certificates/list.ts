import type { FastifyInstance } from "fastify";
import type { Authority } from "../../../authority/authority.ts";
import type { Exports } from "../exports.ts";
import { certificatesAnswer, type IndexQuery, listingTypes } from "../listing.ts";
import { indexQuery } from "../schemas.ts";

const schema = {
  operationId: "listCertificates",
  tags: ["index"],
  summary: "Search the issuance index",
  description:
    "JSON pages with a cursor; NDJSON and CSV stream everything that matches; text/plain is OpenSSL's `index.txt`. Few streams run at once (429 above); one that nobody reads is ended.",
  querystring: indexQuery,
  response: { 200: { description: "What matches.", ...listingTypes } },
};

/** `GET /v1/certificates`: a search of the index. `index.readers` may see it. */
export function listRoute(app: FastifyInstance, authority: Authority, exports: Exports): void {
  app.get(
    "/v1/certificates",
    {
      config: { caller: "reader", refuses: ["not-acceptable"] },
      schema,
    },
    async (request, reply) =>
      certificatesAnswer(authority, request, reply, request.query as IndexQuery, exports),
  );
}
