import type { Command } from "commander";
import { withData } from "../options.ts";
import type { DoctorFlags } from "./run/doctor.ts";

/** `countersign doctor`: whether everything that an authority consists of is as it should be. */
export function registerDoctor(program: Command): void {
  withData(program.command("doctor"))
    .description("look at configuration, keys, every certificate on record and what belongs to it")
    .option("--json", "print JSON")
    .action(async (flags: DoctorFlags) => (await import("./run/doctor.ts")).runDoctor(flags));
}
