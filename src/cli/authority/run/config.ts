/** What `countersign config` does. */

import { describeConfig, type LoadedConfig } from "../../../config/load/load.ts";
import { type ChangedKey, changedKeys, readRunning } from "../../../config/reload/running.ts";
import { readCompiledConfig, readConfig } from "../../configuration.ts";
import { CommandFailure } from "../../failure.ts";
import type { DataFlags } from "../../options.ts";
import { formatTable } from "../../table.ts";

export interface ShowFlags extends DataFlags {
  readonly json?: boolean;
}

export interface CheckFlags extends DataFlags {
  readonly againstRunning?: boolean;
}

export function checkConfig(flags: CheckFlags): void {
  const loaded = readConfig(flags);
  const { tokens } = readCompiledConfig(flags);
  console.log(`${loaded.file ?? "the defaults"}: fine`);
  for (const { issuer, audience } of tokens.issuers.filter(({ oneTime }) => oneTime)) {
    console.log(
      `note: tokens of ${issuer} for ${audience} are good once: one without a \`jti\` is refused, unless its entry in tokens.issuers says oneTime: false.`,
    );
  }
  if (flags.againstRunning) compareWithRunning(loaded);
}

/** Says of each process that serves here what of the configuration it does not have in force. */
function compareWithRunning(loaded: LoadedConfig): void {
  const processes = readRunning(loaded.dataDir);
  if (processes.length === 0) {
    throw new CommandFailure(
      `No process that serves from ${loaded.dataDir} is running on this machine, so that there is nothing to compare with.`,
    );
  }
  const sentences = processes.flatMap(({ pid, keys, refused }) => {
    const changed = changedKeys(keys, loaded);
    const of = (when: ChangedKey["takesEffect"]) =>
      changed.filter(({ takesEffect }) => takesEffect === when).map(({ key }) => key);
    return [
      ...(refused === undefined ? [] : [`process ${pid}: its last reload was refused: ${refused}`]),
      ...said(pid, of("reload"), `a reload takes (kill -HUP ${pid})`),
      ...said(pid, of("restart"), "a restart takes"),
    ];
  });
  for (const { pid, keys } of processes) {
    if (changedKeys(keys, loaded).length === 0) console.log(`process ${pid}: runs with it`);
  }
  if (sentences.length > 0) throw new CommandFailure(sentences.join("\n"));
}

function said(pid: number, keys: readonly string[], what: string): string[] {
  return keys.length === 0 ? [] : [`process ${pid}: changed, and ${what}: ${keys.join(", ")}`];
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
