import { NewerSchema } from "../migrate.ts";
import { InvalidCursor, StoreUnavailable } from "../store.ts";

/** One sentence for people per SQLSTATE or system error; the engine's own words stay in `cause`. */
const sentences: readonly (readonly [RegExp, string])[] = [
  [/^28/, "PostgreSQL refuses the login: check the user and the password in `database`."],
  [/^3D/, "The database that `database` names does not exist on this PostgreSQL."],
  [/^53/, "PostgreSQL has no room or no connection left: nothing was written."],
  [/^(25006|42501)/, "PostgreSQL does not let this user write: check its rights and the server."],
];

/** Faults of one statement, whose transaction is known to have been rolled back. */
export function isFaultOfOne(error: unknown): boolean {
  return /^(22|23|40)...$/.test(codeOf(error));
}

/** Turns an engine's error into StoreUnavailable; what is a fault of the given values stays as it is. */
export function describePostgresFailure(error: unknown): unknown {
  const known = [StoreUnavailable, InvalidCursor, NewerSchema].some((one) => error instanceof one);
  const code = codeOf(error);
  if (known || /^(22|23)...$/.test(code)) return error;
  const lost = error instanceof Error && /connection|timeout|client/i.test(error.message);
  if (code === "" && !lost) return error;
  const sentence =
    sentences.find(([pattern]) => pattern.test(code))?.[1] ??
    `PostgreSQL does not answer${code === "" ? "" : ` (${code})`}: it is asked again with the next request.`;
  return new StoreUnavailable(sentence, { cause: error });
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "";
}
