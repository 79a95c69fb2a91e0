import { NewerSchema } from "../migrate.ts";
import { InvalidCursor, StoreUnavailable } from "../store.ts";

const noRoom = /^SQLITE_FULL|^SQLITE_IOERR_WRITE|^SQLITE_IOERR_FSYNC/;

/** One sentence for people per failure of SQLite; its own error stays in `cause` for the log. */
const sentences: readonly (readonly [RegExp, (file: string) => string])[] = [
  [
    noRoom,
    (file) =>
      `There is no room left for the database ${file}: nothing was written. Make room; it recovers by itself.`,
  ],
  [
    /^SQLITE_READONLY/,
    (file) =>
      `The database ${file} cannot be written: check its permissions and those of its folder.`,
  ],
  [
    /^SQLITE_CANTOPEN/,
    (file) =>
      `The database ${file} cannot be opened: check that its folder exists, is writable and belongs to this user.`,
  ],
  [
    /^SQLITE_(CORRUPT|NOTADB)/,
    (file) => `The database ${file} is damaged: stop, keep a copy, and restore a backup.`,
  ],
  [/^SQLITE_BUSY/, (file) => `The database ${file} is locked by another process.`],
];

/** Whether SQLite had no room to write. */
export function isOutOfRoom(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && noRoom.test(code);
}

/** Turns an engine's error into StoreUnavailable; what is not the engine's stays as it is. */
export function describeFailure(error: unknown, file: string): unknown {
  if (
    error instanceof StoreUnavailable ||
    error instanceof InvalidCursor ||
    error instanceof NewerSchema
  )
    return error;
  const code = (error as { code?: unknown }).code;
  const text = typeof code === "string" ? code : "";
  const sentence = sentences.find(([pattern]) => pattern.test(text))?.[1];
  if (sentence) return new StoreUnavailable(sentence(file), { cause: error });
  if (text.startsWith("SQLITE_") && !text.startsWith("SQLITE_CONSTRAINT")) {
    return new StoreUnavailable(`The database ${file} does not answer (${text}).`, {
      cause: error,
    });
  }
  return error;
}
