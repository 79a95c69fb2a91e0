import type { FastifyInstance } from "fastify";
import type { Authority } from "../../../authority/authority.ts";
import { readCsrInput, requireCsr, sendIssued, unwrap } from "../bodies.ts";
import { csrQuery } from "../schemas.ts";
import { chooseIssuedType, csrContent, issuedAnswer, readIdempotencyKey } from "./issuance.ts";

const schema = {
  operationId: "issueCertificate",
  tags: ["certificates"],
  summary: "Issue a certificate for a CSR",
  description:
    "Send the request as `openssl req -new` writes it; the answer is the certificate and its chain in PEM. With a JSON body, or `Accept: application/json`, everything known about the certificate comes back. The same token with the same key gives the same certificate again (200).",
  querystring: csrQuery,
  body: csrContent("CertificateRequest"),
  response: {
    200: issuedAnswer("The credential was used for this key before: the same certificate."),
    201: issuedAnswer("The certificate."),
  },
};

/** `POST /v1/certificates`: a certificate for a CSR. */
export function issueRoute(app: FastifyInstance, authority: Authority): void {
  app.post(
    "/v1/certificates",
    {
      config: {
        caller: "token",
        readsCsr: true,
        share: "enrolment",
        refuses: [
          "malformed-csr",
          "policy-violation",
          "token-used",
          "idempotency-conflict",
          "not-acceptable",
        ],
      },
      schema,
    },
    async (request, reply) => {
      const input = readCsrInput(request);
      const type = chooseIssuedType(request, input.json);
      const csr = requireCsr(input);
      const idempotencyKey = readIdempotencyKey(request);
      const issued = await authority.issue({ ...input, csr, idempotencyKey }, request.caller);
      return sendIssued(authority, reply, type, unwrap(issued));
    },
  );
}
