import type { FastifyInstance } from "fastify";
import type { Authority } from "../../../authority/authority.ts";
import { unwrap } from "../bodies.ts";
import { jsonContent } from "../content.ts";
import { serialParams } from "../schemas.ts";
import { readSerial } from "./serial.ts";

/** `GET /v1/renewal-info/{serial}`: when to renew, in the shape of RFC 9773 4.2. */
export function renewalInfoRoutes(app: FastifyInstance, authority: Authority): void {
  app.get(
    "/v1/renewal-info/:serial",
    {
      config: { caller: "public", refuses: ["not-found"] },
      schema: {
        operationId: "renewalInfo",
        tags: ["certificates"],
        summary: "When this certificate should be renewed",
        description:
          "Windows are spread, so that certificates issued together do not come back together. That of a revoked certificate lies in the past.",
        params: serialParams,
        response: {
          200: {
            description: "The window; Retry-After says how long the answer may be kept.",
            ...jsonContent("RenewalInfo"),
          },
        },
      },
    },
    async (request, reply) => {
      const window = unwrap(await authority.renewalWindow(readSerial(request.params)));
      return reply
        .header("retry-after", String(window.retryAfterSeconds))
        .type("application/json")
        .send({
          suggestedWindow: { start: window.start.toISOString(), end: window.end.toISOString() },
        });
    },
  );
}
