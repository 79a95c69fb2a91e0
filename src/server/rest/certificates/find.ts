import type { FastifyInstance } from "fastify";
import type { Authority } from "../../../authority/authority.ts";
import { Problem } from "../../problem.ts";
import { chooseType, derType, pemChainType, unwrap } from "../bodies.ts";
import { toFullEntry, toPemChain } from "../entry.ts";
import { serialParams } from "../schemas.ts";
import { readSerial } from "./serial.ts";

const schema = {
  operationId: "showCertificate",
  tags: ["index"],
  summary: "One entry of the index",
  params: serialParams,
  response: {
    200: {
      description: "The entry as JSON, the chain as PEM, or the certificate as DER.",
      content: {
        "application/json": { schema: { $ref: "Certificate#" } },
        [pemChainType]: { schema: { type: "string" } },
        [derType]: { schema: { type: "string", format: "binary" } },
      },
    },
  },
};

/** `GET /v1/certificates/{serial}`: one entry of the index. `index.readers` may see it. */
export function findRoute(app: FastifyInstance, authority: Authority): void {
  app.get(
    "/v1/certificates/:serial",
    {
      config: { caller: "reader", refuses: ["not-found", "not-acceptable"] },
      schema,
    },
    async (request, reply) => {
      const type = unwrap(chooseType(request, ["application/json", pemChainType, derType]));
      const stored = unwrap(await authority.find(readSerial(request.params)));
      const der = (await authority.readDer([stored.id])).get(stored.id);
      if (type === "application/json") {
        return reply.type(type).send(toFullEntry(authority, stored, der));
      }
      if (der === undefined) {
        throw new Problem({
          code: "not-found",
          detail: `Certificate ${stored.serial} was imported from an index without its file: only the JSON entry exists.`,
        });
      }
      return reply
        .type(type)
        .send(type === derType ? Buffer.from(der) : toPemChain(authority, stored, der));
    },
  );
}
