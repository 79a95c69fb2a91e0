import { afterAll, beforeAll } from "vitest";
import { startPostgres, type TestPostgres } from "./postgres.ts";

/** Starts a PostgreSQL before the tests of a file and removes it after them. */
export function usePostgres(): TestPostgres {
  let running: TestPostgres | undefined;
  beforeAll(async () => {
    running = await startPostgres();
  });
  afterAll(() => running?.remove());
  const now = () => {
    if (running === undefined) throw new Error("PostgreSQL starts before the first test");
    return running;
  };
  return {
    database: (name) => now().database(name),
    start: () => now().start(),
    stop: () => now().stop(),
    remove: () => now().remove(),
  };
}
