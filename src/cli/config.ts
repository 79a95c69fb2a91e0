import type { Command } from "commander";
import { describeConfig } from "../config/load.ts";
import { type DataFlags, readCompiledConfig, readConfig, withData } from "./options.ts";

/** `countersign config check|show`. */
export function registerConfig(program: Command): void {
  const config = program.command("config").description("check or show the configuration");
  withData(config.command("check"))
    .description("say whether the configuration is right; every problem with its line when not")
    .action((flags: DataFlags) => {
      const loaded = readConfig(flags);
      readCompiledConfig(flags);
      console.log(`${loaded.file ?? "the defaults"}: fine`);
    });
  withData(config.command("show"))
    .description("every value in force and where it comes from; secrets masked")
    .option("--json", "as JSON")
    .action((flags: DataFlags & { readonly json?: boolean }) => {
      const loaded = readConfig(flags);
      console.log(flags.json ? JSON.stringify(loaded.values, null, 2) : describeConfig(loaded));
    });
}
