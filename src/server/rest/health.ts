import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { Authority } from "../../authority/authority.ts";

/** One thing that must be right for the service to do its work. */
export interface ReadinessCheck {
  readonly name: string;
  /** Throws with one sentence when it is not right. */
  run(): Promise<void>;
}

const checkedThing = Type.Object({
  name: Type.String({ examples: ["store"] }),
  ok: Type.Boolean(),
  detail: Type.Optional(Type.String({ description: "What is wrong." })),
});

const readiness = Type.Object(
  { ready: Type.Boolean(), checks: Type.Array(checkedThing) },
  { title: "Readiness" },
);

/** The checks that every authority has: store, key, certificates. */
export function authorityChecks(authority: Authority): readonly ReadinessCheck[] {
  return [
    { name: "store", run: () => authority.probeStore() },
    { name: "issuing key", run: () => authority.probeIssuingKey() },
    {
      name: "certificates",
      run: async () => {
        const { intermediates, root } = authority.issuers.active;
        for (const one of [...intermediates, root]) {
          if (one.notAfter <= authority.now()) {
            throw new Error(
              `CA certificate ${one.serial} expired on ${one.notAfter.toISOString()}`,
            );
          }
        }
      },
    },
  ];
}

/** `/healthz` and `/readyz`. */
export function healthRoutes(app: FastifyInstance, checks: readonly ReadinessCheck[]): void {
  app.get(
    "/healthz",
    {
      config: { caller: "public" },
      schema: {
        operationId: "health",
        tags: ["health"],
        summary: "Is the process alive",
        response: { 200: Type.Object({ status: Type.String({ examples: ["alive"] }) }) },
      },
    },
    async () => ({ status: "alive" }),
  );
  app.get(
    "/readyz",
    {
      config: { caller: "public" },
      schema: {
        operationId: "readiness",
        tags: ["health"],
        summary: "Can it issue: store, key, certificates",
        response: {
          200: readiness,
          503: { description: "Something is not right.", ...readiness },
        },
      },
    },
    async (request, reply) => {
      const results = await Promise.all(checks.map((check) => runCheck(check, request.log)));
      const ready = results.every((one) => one.ok);
      return reply.code(ready ? 200 : 503).send({ ready, checks: results });
    },
  );
}

async function runCheck(
  check: ReadinessCheck,
  log: { error: (fields: object, text: string) => void },
) {
  try {
    await check.run();
    return { name: check.name, ok: true };
  } catch (error) {
    log.error({ err: error, check: check.name }, "readiness check failed");
    // Public route: the sentence is for everyone, its cause stays in the log.
    return {
      name: check.name,
      ok: false,
      detail: error instanceof Error ? error.message : "failed",
    };
  }
}
