import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";

/** The page loads, calls and embeds nothing of another host, and stands in no frame (CSP level 3). */
const onlyFromHere = {
  "default-src": "'none'",
  "script-src": "'self'",
  // Swagger UI writes one style sheet of its own into the page; test/browser/swagger.test.ts sees it.
  "style-src": "'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='",
  "img-src": "'self' data:",
  "font-src": "'self'",
  "connect-src": "'self'",
  "form-action": "'self'",
  "base-uri": "'none'",
  "frame-ancestors": "'none'",
};

/** Swagger UI at `/docs`, and the document it shows at `/openapi.json` and `/openapi.yaml`. */
export async function docsRoutes(app: FastifyInstance): Promise<void> {
  const describe = (operationId: string, summary: string, type: string) => ({
    config: { caller: "public" as const },
    schema: {
      operationId,
      tags: ["authority"],
      summary,
      response: { 200: { description: summary, content: { [type]: { schema: {} } } } },
    },
  });
  app.get(
    "/openapi.json",
    describe("openapiJson", "This document as JSON", "application/json"),
    async (_request, reply) =>
      reply.type("application/json").send(`${JSON.stringify(app.swagger(), null, 2)}\n`),
  );
  app.get(
    "/openapi.yaml",
    describe("openapiYaml", "This document as YAML", "application/yaml"),
    async (_request, reply) => reply.type("application/yaml").send(app.swagger({ yaml: true })),
  );
  await app.register(async (scope) => {
    // The plugin's own routes know nothing of callers: in this scope they are public.
    scope.addHook("onRoute", (route) => {
      route.config = { ...route.config, caller: "public" };
      route.schema = { ...route.schema, hide: true };
    });
    await scope.register(swaggerUi, {
      routePrefix: "/docs",
      uiConfig: {
        deepLinking: true,
        docExpansion: "list",
        tryItOutEnabled: true,
        url: "/openapi.json",
      },
      staticCSP: onlyFromHere,
    });
  });
}
