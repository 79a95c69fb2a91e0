/** OpenAPI 3.1 from the routes. Security and errors come from what each route declares, once. */

import swagger from "@fastify/swagger";
import type { FastifyInstance, FastifySchema, RouteOptions } from "fastify";
import type { RefusalCode } from "../refusal.ts";
import { type CallerRule, callerRules } from "./caller.ts";
import { statusOf } from "./problem.ts";

/** Who may call, in OpenAPI's words: each object is one sufficient credential. */
function securityOf(rule: CallerRule): Record<string, string[]>[] {
  const { token, certificate, operator } = callerRules[rule];
  return [
    ...(token ? [{ token: [] }] : []),
    ...(certificate || operator ? [{ mutualTLS: [] }] : []),
  ];
}

/** The refusals that a route can give by its nature; handlers add what is special to them. */
function errorsOf(route: RouteOptions, schema: FastifySchema): readonly RefusalCode[] {
  const rule = route.config?.caller ?? "public";
  const writes = route.method === "POST";
  const codes: RefusalCode[] = ["rate-limited", "internal-error", "store-unavailable"];
  if (schema.querystring !== undefined || schema.params !== undefined || writes) {
    codes.push("malformed-request");
  }
  if (rule !== "public" && rule !== "ocsp") codes.push("unauthenticated", "forbidden");
  if (writes) {
    codes.push("payload-too-large", "unsupported-media-type", "unsupported-content-coding");
  }
  return [...codes, ...(route.config?.refuses ?? [])];
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Refusals beyond those that every route of its kind can give; for OpenAPI. */
    refuses?: readonly RefusalCode[];
  }
  interface FastifySchema {
    tags?: readonly string[];
    summary?: string;
    description?: string;
    operationId?: string;
    hide?: boolean;
    security?: readonly Record<string, readonly string[]>[];
  }
}

/** Registers the generator; must come before the routes. `version` is that of the program. */
export async function describeRoutes(
  app: FastifyInstance,
  about: { readonly name: string; readonly version: string; readonly publicUrl: string },
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: about.name,
        version: about.version,
        description:
          "Countersign, an online certificate authority. Enrol with a token, renew over mutual TLS, search and prove every certificate ever signed. Errors are RFC 9457 problem documents. Every address can answer 408 (too slow), 417, 431 (more than 32 KiB of headers) and 501 (unknown method).",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: about.publicUrl }],
      tags: [
        { name: "certificates", description: "Issue, check, renew, revoke" },
        { name: "index", description: "Every certificate ever signed" },
        { name: "authority", description: "Who signs, and by which policy" },
        { name: "tokens", description: "Enrolment tokens" },
        { name: "revocation", description: "CRL, OCSP, issuers" },
        { name: "audit", description: "Every decision" },
        { name: "health", description: "Is it alive, is it ready" },
      ],
      components: {
        securitySchemes: {
          token: {
            type: "http",
            scheme: "bearer",
            bearerFormat: "JWT",
            description: "Enrolment token, from `countersign token` or POST /v1/tokens.",
          },
          mutualTLS: {
            type: "mutualTLS",
            description: "A living certificate of this authority as TLS client certificate.",
            // OpenAPI 3.1 has this type; the plugin's types still stand at 3.0.
          } as never,
        },
      },
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) =>
        typeof json["$id"] === "string" ? json["$id"] : `Schema${index}`,
    },
    transform: ({ schema, url, route }) => {
      const config = (route as RouteOptions).config;
      const full: FastifySchema = { ...schema };
      const rule = config?.caller;
      if (rule !== undefined) full.security = securityOf(rule);
      if (full.operationId === undefined || full.hide)
        return { schema: { ...full, hide: true }, url };
      const codes = errorsOf(route as RouteOptions, full);
      const statuses = new Map<number, RefusalCode[]>();
      for (const code of codes) {
        const list = statuses.get(statusOf[code]) ?? [];
        if (!list.includes(code)) list.push(code);
        statuses.set(statusOf[code], list);
      }
      const errors = Object.fromEntries(
        [...statuses].map(([status, list]) => [
          status,
          {
            description: `Refused: ${list.join(", ")}.`,
            content: { "application/problem+json": { schema: { $ref: "Problem#" } } },
          },
        ]),
      );
      full.response = { ...errors, ...(full.response as object) };
      // A rest of the path has no name in Fastify; in OpenAPI it needs one.
      return { schema: full, url: url.replace("/*", "/:request") };
    },
  });
}
