import type { Command } from "commander";
import { withData } from "../options.ts";
import type { CheckFlags, ShowFlags } from "./run/config.ts";

/** `countersign config check|show`. */
export function registerConfig(program: Command): void {
  const config = program.command("config").description("check or show the configuration");
  withData(config.command("check"))
    .description("say whether the configuration is right; every problem with its line when not")
    .option(
      "--against-running",
      "say which keys the running processes have otherwise, and whether each needs a reload (SIGHUP) or a restart; exits with 1",
    )
    .action(async (flags: CheckFlags) => (await run()).checkConfig(flags));
  withData(config.command("show"))
    .description("every value in force and where it comes from; secrets masked")
    .option("--json", "as JSON")
    .action(async (flags: ShowFlags) => (await run()).showConfig(flags));
}

const run = () => import("./run/config.ts");
