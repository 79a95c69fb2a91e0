import type { FastifyInstance } from "fastify";
import type { Static } from "typebox";
import type { Authority } from "../../../authority/authority.ts";
import { parseReason, reasonNames } from "../../../authority/revoke.ts";
import { holderOf } from "../../caller.ts";
import { Problem } from "../../problem.ts";
import { unwrap } from "../bodies.ts";
import { jsonBody, jsonContent } from "../content.ts";
import { toEntry } from "../entry.ts";
import { type revocationBody, serialParams } from "../schemas.ts";
import { readSerial } from "./serial.ts";

const schema = {
  operationId: "revokeCertificate",
  tags: ["certificates"],
  summary: "Revoke, hold or release a certificate",
  description:
    "For its own holder, or an operator. In force for the next request, also on open connections. Repeating it changes nothing. `lineage` ends what was renewed from it as well; `keyCompromise` bars the renewals of what is left.",
  params: serialParams,
  body: jsonBody("RevocationRequest"),
  response: {
    200: { description: "The entry as it stands now.", ...jsonContent("RevokedCertificate") },
  },
};

/** `POST /v1/certificates/{serial}/revoke`: revokes, holds or releases. */
export function revokeRoute(app: FastifyInstance, authority: Authority): void {
  app.post(
    "/v1/certificates/:serial/revoke",
    {
      config: { caller: "certificate", refuses: ["not-found", "conflict"] },
      schema,
    },
    async (request, reply) => {
      const { caller } = holderOf(request);
      const {
        reason = "unspecified",
        lineage,
        renewals,
      } = (request.body ?? {}) as Static<typeof revocationBody>;
      const parsed = parseReason(reason);
      if (parsed === undefined) throw new Problem(unknownReason(reason));
      const { certificate, descendants } = unwrap(
        await authority.revoke(
          readSerial(request.params),
          { reason: parsed, ...(lineage && { lineage }), ...(renewals && { renewals }) },
          caller,
        ),
      );
      return reply
        .type("application/json")
        .send({ ...toEntry(authority, certificate), ...(lineage && { descendants }) });
    },
  );
}

function unknownReason(reason: string | number) {
  const want = reasonNames.join(", ");
  const message = `${JSON.stringify(reason)} is not a revocation reason of RFC 5280; there are: ${want}.`;
  return {
    code: "malformed-request" as const,
    detail: message,
    violations: [{ field: "reason", rule: "reason.known", got: String(reason), want, message }],
  };
}
