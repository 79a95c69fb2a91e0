import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { startPostgres, type TestPostgres } from "./postgres.ts";

export const engines = ["sqlite", "postgres"] as const;
export type EngineName = (typeof engines)[number];

/** Databases of both engines for a test file: a folder and a PostgreSQL, gone when it ends. */
export interface Databases {
  readonly folder: string;
  /** The server, from the first test on. */
  readonly postgres: TestPostgres;
  /** The URL of the database of that name; on PostgreSQL a new one. */
  at(engine: EngineName, name: string): Promise<string>;
}

/** Registers the hooks that start and remove them; `topic` names the folder. */
export function withDatabases(topic: string): Databases {
  const folder = mkdtempSync(join(tmpdir(), `countersign-${topic}-`));
  let postgres: TestPostgres | undefined;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => {
    await postgres?.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  const started = () => {
    if (postgres === undefined) throw new Error("PostgreSQL starts before the first test");
    return postgres;
  };
  return {
    folder,
    get postgres() {
      return started();
    },
    at: async (engine, name) =>
      engine === "sqlite" ? `sqlite:${join(folder, `${name}.db`)}` : started().database(name),
  };
}
