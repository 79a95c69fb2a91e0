import type { Command } from "commander";
import { type DataFlags, withData } from "../options.ts";
import type { ShowFlags } from "./run/config.ts";

/** `countersign config check|show`. */
export function registerConfig(program: Command): void {
  const config = program.command("config").description("check or show the configuration");
  withData(config.command("check"))
    .description("say whether the configuration is right; every problem with its line when not")
    .action(async (flags: DataFlags) => (await run()).checkConfig(flags));
  withData(config.command("show"))
    .description("every value in force and where it comes from; secrets masked")
    .option("--json", "as JSON")
    .action(async (flags: ShowFlags) => (await run()).showConfig(flags));
}

const run = () => import("./run/config.ts");
