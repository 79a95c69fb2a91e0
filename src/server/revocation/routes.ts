/** What RFC 5280 and 6960 want over plain HTTP: CRL, OCSP, issuer certificates. TLS serves it too. */

import type { FastifyInstance } from "fastify";
import type { OcspResponder } from "../../authority/ocsp/responder.ts";
import { type CrlParts, crlOperations } from "./crl-operations.ts";
import { ocspOperations } from "./ocsp-operations.ts";
import type { Operation } from "./operation.ts";

export interface RevocationParts extends CrlParts {
  readonly ocsp: OcspResponder;
}

export function revocationOperations(parts: RevocationParts): readonly Operation[] {
  return [...crlOperations(parts), ...ocspOperations(parts.ocsp)];
}

/** Lists the operations as routes: for OpenAPI, the table of routes and its tests. */
export function documentOperations(app: FastifyInstance, operations: readonly Operation[]): void {
  for (const { method, url, caller, refuses, schema } of operations) {
    app.route({
      ...{ method, url, schema },
      config: { caller, ...(refuses && { refuses }) },
      handler: async () => {
        throw new Error(
          `${method} ${url} reached the framework: answerFirst does not stand before it`,
        );
      },
    });
  }
}
