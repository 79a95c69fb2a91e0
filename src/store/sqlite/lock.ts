import Database from "better-sqlite3";
import { StoreUnavailable } from "../store.ts";

/**
 * A lock that a process holds while it serves a folder. It is a lock of the operating system, taken
 * through SQLite. It ends with the process, however that ends, so a stale one cannot stay behind.
 * Throws StoreUnavailable when another process holds it.
 */
export function holdLock(path: string): { release(): void } {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: 0 });
    db.pragma("locking_mode = EXCLUSIVE");
    db.prepare("begin exclusive").run();
    const held = db;
    return { release: () => held.close() };
  } catch (error) {
    db?.close();
    if ((error as { code?: string }).code?.startsWith("SQLITE_BUSY")) {
      throw new StoreUnavailable(
        `Another process serves this folder already (${path} is locked): stop it first, or use PostgreSQL for several nodes.`,
      );
    }
    throw new StoreUnavailable(
      `The lock ${path} cannot be taken: check that the folder exists, is writable and belongs to this user.`,
      { cause: error },
    );
  }
}
