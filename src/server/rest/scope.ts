/** REST as a scope of its own: its parsers, validation, error handler and callers meet no other protocol. */

import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { FastifyInstance } from "fastify";
import type { Authority } from "../../authority/authority.ts";
import type { Issuer } from "../../authority/issuers.ts";
import type { CompiledConfig } from "../../config/compile.ts";
import type { LiveConfig } from "../../config/reload/live.ts";
import { proveCallers, provenByConnection } from "../caller.ts";
import { docsRoutes } from "../docs/docs.ts";
import { limitBodies } from "../limits.ts";
import { type MetricsSource, metricsRoute } from "../metrics.ts";
import { answerWithProblems } from "../problem.ts";
import { auditRoutes } from "./audit.ts";
import { readBodies } from "./body-types.ts";
import { caRoutes } from "./ca.ts";
import { renewalInfoRoutes } from "./certificates/renewal-info.ts";
import { certificateRoutes } from "./certificates/routes.ts";
import { Exports } from "./exports.ts";
import { authorityChecks, healthRoutes } from "./health.ts";
import { policyRoutes } from "./policy.ts";
import { sharedSchemas } from "./schemas.ts";
import { refuseUnkeepableTexts } from "./texts.ts";
import { tokenRoutes } from "./tokens.ts";

export interface RestParts {
  readonly live: LiveConfig;
  readonly authority: Authority;
  readonly metrics: MetricsSource;
}

/** Fills a scope with REST, its documents and its metrics. */
export async function restScope(scope: FastifyInstance, parts: RestParts): Promise<void> {
  const { live, authority } = parts;
  answerWithProblems(scope);
  validateStrictly(scope);
  for (const schema of sharedSchemas) scope.addSchema(schema);
  limitBodies(scope, () => live.current.bodyBytes);
  readBodies(scope);
  refuseUnkeepableTexts(scope);
  proveCallers(scope, provenByConnection(authority));

  const exports = new Exports(() => live.current.exports);
  certificateRoutes(scope, authority, exports);
  renewalInfoRoutes(scope, authority);
  caRoutes(scope, authority, (issuer) => caUrls(live.current, issuer));
  policyRoutes(scope, authority);
  tokenRoutes(scope, authority);
  auditRoutes(scope, authority);
  healthRoutes(scope, authorityChecks(authority));
  metricsRoute(scope, parts.metrics, "operator");
  await docsRoutes(scope);
}

/** Nothing is removed or coerced in silence; only query strings, which are all text, are coerced. */
function validateStrictly(scope: FastifyInstance): void {
  const options = { allErrors: true, strict: false, removeAdditional: false, useDefaults: true };
  const exact = new Ajv2020({ ...options, coerceTypes: false });
  const coercing = new Ajv2020({ ...options, coerceTypes: true });
  for (const ajv of [exact, coercing]) {
    addFormats.default(ajv);
    for (const schema of sharedSchemas) ajv.addSchema(schema);
  }
  scope.setValidatorCompiler(({ schema, httpPart }) => {
    const ajv = httpPart === "body" ? exact : coercing;
    return ajv.compile(schema as object);
  });
}

function caUrls(config: CompiledConfig, issuer: Issuer) {
  const plain = config.publicHttpUrl?.origin;
  return {
    chain: `${config.publicUrl.origin}/v1/ca/chain`,
    root: `${config.publicUrl.origin}/v1/ca/root`,
    ...(plain !== undefined && {
      crl: `${plain}/crl/${issuer.id}.crl`,
      ocsp: `${plain}/ocsp`,
      issuer: `${plain}/issuers/${issuer.id}.crt`,
    }),
  };
}
