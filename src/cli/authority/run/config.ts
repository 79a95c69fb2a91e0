/** What `countersign config` does. */

import { describeConfig } from "../../../config/load/load.ts";
import { readCompiledConfig, readConfig } from "../../configuration.ts";
import type { DataFlags } from "../../options.ts";
import { formatTable } from "../../table.ts";

export interface ShowFlags extends DataFlags {
  readonly json?: boolean;
}

export function checkConfig(flags: DataFlags): void {
  const loaded = readConfig(flags);
  const { tokens } = readCompiledConfig(flags);
  console.log(`${loaded.file ?? "the defaults"}: fine`);
  for (const { issuer, audience } of tokens.issuers.filter(({ oneTime }) => oneTime)) {
    console.log(
      `note: tokens of ${issuer} for ${audience} are good once: one without a \`jti\` is refused, unless its entry in tokens.issuers says oneTime: false.`,
    );
  }
}

export function showConfig(flags: ShowFlags): void {
  const described = describeConfig(readConfig(flags));
  if (flags.json) {
    console.log(JSON.stringify(described, null, 2));
    return;
  }
  const rows = described.map(({ key, value, origin }) => [key, JSON.stringify(value), origin]);
  console.log(formatTable(["key", "value", "from"], rows));
}
