import type { FastifyInstance } from "fastify";
import type { Authority } from "../../../authority/authority.ts";
import { holderOf } from "../../caller.ts";
import { readCsrInput, sendIssued, unwrap } from "../bodies.ts";
import { csrQuery } from "../schemas.ts";
import { chooseIssuedType, csrContent, issuedAnswer, readIdempotencyKey } from "./issuance.ts";

const schema = {
  operationId: "renewCertificate",
  tags: ["certificates"],
  summary: "Renew the certificate that you hold",
  description:
    "Call it with the certificate as TLS client certificate. An empty body renews the same key; a CSR brings a new one, its subject and names empty or the same. Today's policy decides.",
  querystring: csrQuery,
  body: csrContent("RenewalRequest"),
  response: {
    200: issuedAnswer("This Idempotency-Key gave this certificate before."),
    201: issuedAnswer("The new certificate."),
  },
};

/** `POST /v1/certificates/renew`: a new certificate for who holds one. */
export function renewRoute(app: FastifyInstance, authority: Authority): void {
  app.post(
    "/v1/certificates/renew",
    {
      config: {
        caller: "renewal",
        readsCsr: true,
        share: "renewal",
        refuses: ["malformed-csr", "policy-violation", "idempotency-conflict", "not-acceptable"],
      },
      schema,
    },
    async (request, reply) => {
      const input = readCsrInput(request);
      const type = chooseIssuedType(request, input.json);
      const { caller, held } = holderOf(request);
      const idempotencyKey = readIdempotencyKey(request);
      const issued = await authority.renew({ ...input, idempotencyKey }, caller, held);
      return sendIssued(authority, reply, type, unwrap(issued));
    },
  );
}
