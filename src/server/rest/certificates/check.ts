import type { FastifyInstance } from "fastify";
import type { Authority } from "../../../authority/authority.ts";
import { chooseType, readCsrInput, requireCsr, unwrap } from "../bodies.ts";
import { jsonContent } from "../content.ts";
import { csrQuery } from "../schemas.ts";
import { csrContent } from "./issuance.ts";

const schema = {
  operationId: "checkRequest",
  tags: ["certificates"],
  summary: "What would happen to a CSR, without signing it",
  description:
    "Verdict, every violation, what of the request would be dropped or changed, and the certificate that would be issued. Signs and stores nothing; a token is not used up.",
  querystring: csrQuery,
  body: csrContent("CertificateRequest"),
  response: { 200: { description: "The verdict.", ...jsonContent("CheckResult") } },
};

/** `POST /v1/certificates/check`: the verdict on a CSR, without signing it. */
export function checkRoute(app: FastifyInstance, authority: Authority): void {
  app.post(
    "/v1/certificates/check",
    {
      config: {
        caller: "token-or-certificate",
        readsCsr: true,
        refuses: ["malformed-csr", "policy-violation", "not-acceptable"],
      },
      schema,
    },
    async (request, reply) => {
      unwrap(chooseType(request, ["application/json"]));
      const input = readCsrInput(request);
      const csr = requireCsr(input);
      const result = await authority.check(
        { ...input, csr, idempotencyKey: undefined },
        request.caller,
        request.peer,
      );
      return reply.type("application/json").send(unwrap(result));
    },
  );
}
