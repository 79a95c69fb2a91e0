/**
 * Texts that no engine keeps as they are: PostgreSQL refuses NUL, and a lone surrogate has no UTF-8.
 * Both are refused here, once for every parameter and every JSON body, before anything reads them.
 */

import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Violation } from "../../refusal.ts";
import { Problem } from "../problem.ts";
import { unreadable, unreadableRefusal } from "./bodies.ts";

/** More faults than this in one request are counted by nobody. */
const MOST = 20;

/** Refuses (400) every request of the scope with a text that cannot be kept, or that is not UTF-8. */
export function refuseUnkeepableTexts(scope: FastifyInstance): void {
  scope.addHook("preValidation", async (request) => {
    requireUtf8(request.raw.url ?? "");
    const faults = [...faultsOf(request)];
    if (faults.length > 0) throw new Problem(unreadableRefusal(faults.slice(0, MOST)));
  });
}

/** A `%` that means nothing would be searched for as it stands, and find nothing, in silence. */
function requireUtf8(url: string): void {
  const query = url.indexOf("?");
  if (query < 0 || !url.includes("%", query)) return;
  try {
    decodeURIComponent(url.slice(query));
  } catch {
    throw new Problem({
      code: "malformed-request",
      detail:
        "The query has a % that is not followed by two hex digits of UTF-8. Write a % itself as %25.",
    });
  }
}

function* faultsOf({ params, query, body }: FastifyRequest): Generator<Violation> {
  yield* faultsIn(params, "");
  yield* faultsIn(query, "");
  if (!Buffer.isBuffer(body)) yield* faultsIn(body, "");
}

function* faultsIn(value: unknown, field: string): Generator<Violation> {
  if (typeof value === "string") {
    if (value.includes("\0") || !value.isWellFormed()) {
      yield unreadable(field || "body", value.slice(0, 100), "text without NUL or lone surrogates");
    }
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    yield* faultsIn(name, `the name of a field${field && ` of ${field}`}`);
    yield* faultsIn(inner, field === "" ? name : `${field}.${name}`);
  }
}
