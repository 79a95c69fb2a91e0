/** What `countersign migrate` does. */

import { migrateStore } from "../../../store/open.ts";
import { readCompiledConfig } from "../../configuration.ts";
import type { DataFlags } from "../../options.ts";

export async function runMigrate(flags: DataFlags): Promise<void> {
  const steps = await migrateStore(readCompiledConfig(flags).database.reveal());
  for (const step of steps) console.log(`applied ${step}`);
  if (steps.length === 0) console.log("The schema is up to date.");
}
