import type { Command } from "commander";
import { type DataFlags, withData } from "../options.ts";

/** `countersign migrate`: brings the database to the schema of this program, forward only. */
export function registerMigrate(program: Command): void {
  withData(program.command("migrate"))
    .description("bring the database's schema forward to this version (serve does it by itself)")
    .action(async (flags: DataFlags) => (await import("./run/migrate.ts")).runMigrate(flags));
}
