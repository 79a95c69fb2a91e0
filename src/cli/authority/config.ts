import type { Command } from "commander";
import { describeConfig } from "../../config/load.ts";
import { type DataFlags, readCompiledConfig, readConfig, withData } from "../options.ts";
import { formatTable } from "../table.ts";

/** `countersign config check|show`. */
export function registerConfig(program: Command): void {
  const config = program.command("config").description("check or show the configuration");
  withData(config.command("check"))
    .description("say whether the configuration is right; every problem with its line when not")
    .action((flags: DataFlags) => {
      const loaded = readConfig(flags);
      const { tokens } = readCompiledConfig(flags);
      console.log(`${loaded.file ?? "the defaults"}: fine`);
      for (const { issuer, audience } of tokens.issuers.filter(({ oneTime }) => oneTime)) {
        console.log(
          `note: tokens of ${issuer} for ${audience} are good once: one without a \`jti\` is refused, unless its entry in tokens.issuers says oneTime: false.`,
        );
      }
    });
  withData(config.command("show"))
    .description("every value in force and where it comes from; secrets masked")
    .option("--json", "as JSON")
    .action((flags: DataFlags & { readonly json?: boolean }) => {
      const described = describeConfig(readConfig(flags));
      if (flags.json) {
        console.log(JSON.stringify(described, null, 2));
        return;
      }
      const rows = described.map(({ key, value, origin }) => [key, JSON.stringify(value), origin]);
      console.log(formatTable(["key", "value", "from"], rows));
    });
}
