import type { Command } from "commander";
import { migrateStore } from "../../store/open.ts";
import { type DataFlags, readCompiledConfig, withData } from "../options.ts";

/** `countersign migrate`: brings the database to the schema of this program, forward only. */
export function registerMigrate(program: Command): void {
  withData(program.command("migrate"))
    .description("bring the database's schema forward to this version (serve does it by itself)")
    .action(async (flags: DataFlags) => {
      const steps = await migrateStore(readCompiledConfig(flags).database.reveal());
      for (const step of steps) console.log(`applied ${step}`);
      if (steps.length === 0) console.log("The schema is up to date.");
    });
}
