import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import type { Authority } from "../../authority/authority.ts";
import { InvalidCursor } from "../../store/store.ts";
import { Problem } from "../problem.ts";
import { readInstant, unreadable, unreadableRefusal } from "./bodies.ts";

const auditEntry = Type.Object(
  {
    id: Type.Integer({ description: "Order of writing." }),
    at: Type.String({ format: "date-time" }),
    requestId: Type.String(),
    action: Type.String({ examples: ["issue"] }),
    verdict: Type.String({ enum: ["accepted", "refused", "error"] }),
    caller: Type.String({ examples: ["token:7f1f2a4e-0e0f-4b1c-9f7e-0b8f5a1c2d3e"] }),
    address: Type.Optional(Type.String()),
    serial: Type.Optional(Type.String()),
    csrSha256: Type.Optional(Type.String()),
    code: Type.Optional(Type.String({ examples: ["policy-violation"] })),
    detail: Type.Record(Type.String(), Type.Unknown()),
  },
  { title: "AuditEntry" },
);

const auditList = Type.Object(
  { items: Type.Array(auditEntry), next: Type.Optional(Type.String()) },
  { title: "AuditList" },
);

const auditQuery = Type.Object(
  {
    action: Type.Optional(Type.String({ description: "What was asked, e.g. `issue`." })),
    verdict: Type.Optional(Type.String({ enum: ["accepted", "refused", "error"] })),
    caller: Type.Optional(Type.String({ description: "Who asked, exactly." })),
    serial: Type.Optional(Type.String({ description: "Which certificate." })),
    requestId: Type.Optional(Type.String({ description: "Which request." })),
    after: Type.Optional(Type.String({ format: "date-time" })),
    before: Type.Optional(Type.String({ format: "date-time" })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
    cursor: Type.Optional(Type.String({ description: "`next` of the page before." })),
  },
  { additionalProperties: false },
);

/** `GET /v1/audit`: every decision, newest first, refusals included. */
export function auditRoutes(app: FastifyInstance, authority: Authority): void {
  app.get(
    "/v1/audit",
    {
      config: { caller: "operator" },
      schema: {
        operationId: "readAudit",
        tags: ["audit"],
        summary: "Every decision, refusals included",
        querystring: auditQuery,
        response: { 200: auditList },
      },
    },
    async (request) => {
      const { after, before, ...rest } = request.query as Static<typeof auditQuery>;
      const query = { ...rest, ...readBounds({ after, before }) };
      try {
        const page = await authority.searchAudit(query);
        return {
          items: page.items.map((one) => ({ ...one, at: one.at.toISOString() })),
          next: page.next,
        };
      } catch (error) {
        if (!(error instanceof InvalidCursor)) throw error;
        throw new Problem({ code: "malformed-request", detail: error.message });
      }
    },
  );
}

function readBounds(given: { after: string | undefined; before: string | undefined }) {
  const read: { after?: Date; before?: Date } = {};
  const violations = [];
  for (const field of ["after", "before"] as const) {
    const text = given[field];
    if (text === undefined) continue;
    const date = readInstant(text);
    if (date === undefined) violations.push(unreadable(field, text, "an RFC 3339 instant"));
    else read[field] = date;
  }
  if (violations.length > 0) throw new Problem(unreadableRefusal(violations));
  return read;
}
