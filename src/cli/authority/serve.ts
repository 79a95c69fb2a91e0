import type { Command } from "commander";
import { countFlag, withData } from "../options.ts";
import type { ServeFlags } from "./run/serve.ts";

/** `countersign serve`: serves the authority, and makes it first when the folder holds none. */
export function registerServe(program: Command): void {
  withData(program.command("serve", { isDefault: false }))
    .description("serve the authority; creates one when the data folder holds none")
    .option("--workers <number>", "processes that serve the one port", countFlag, 1)
    .action(async (flags: ServeFlags) => (await import("./run/serve.ts")).runServe(flags));
}
