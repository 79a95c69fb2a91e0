/** From a URL to an engine. */

import { dirname, join } from "node:path";
import { holdLock } from "./sqlite/lock.ts";
import { type Store, StoreUnavailable } from "./store.ts";

export interface StoreOptions {
  /** Whether this process serves: of a SQLite file there is one such process at a time. */
  readonly exclusive: boolean;
  readonly log?: (message: string, fields: Record<string, unknown>) => void;
}

/**
 * Opens `sqlite:/path/to/file.db` or `postgres://user@host/database` and brings its schema forward.
 * Throws StoreUnavailable (or NewerSchema) with one sentence for people.
 */
export async function openStore(url: string, options: StoreOptions): Promise<Store> {
  if (isPostgres(url)) {
    const { PostgresStore } = await import("./postgres/store.ts");
    return PostgresStore.open({ url, log: options.log });
  }
  const file = sqliteFile(url);
  const { SqliteStore } = await import("./sqlite/store.ts");
  const lock = options.exclusive ? holdLock(join(dirname(file), ".lock")) : undefined;
  try {
    const store = await SqliteStore.open({ file, migrate: true, soleWriter: options.exclusive });
    const close = store.close.bind(store);
    store.close = async () => {
      await close();
      lock?.release();
    };
    return store;
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** Brings a database's schema forward; gives the steps that were applied. */
export async function migrateStore(url: string): Promise<readonly string[]> {
  if (isPostgres(url)) {
    const { migratePostgres } = await import("./postgres/open.ts");
    return migratePostgres(url);
  }
  const file = sqliteFile(url);
  const { migrateFile } = await import("./sqlite/open.ts");
  return migrateFile(file);
}

function isPostgres(url: string): boolean {
  return /^postgres(ql)?:\/\//.test(url);
}

/** Throws StoreUnavailable when the URL is neither of the two engines'. */
function sqliteFile(url: string): string {
  if (url.startsWith("sqlite:")) return url.slice("sqlite:".length);
  throw new StoreUnavailable(`${url.split(":")[0]}: is not a database that this program knows.`);
}
