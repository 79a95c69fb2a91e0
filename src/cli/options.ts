import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type CompiledConfig, compileConfig } from "../config/compile.ts";
import { parseDuration } from "../config/duration.ts";
import { type LoadedConfig, loadConfig } from "../config/load.ts";
import { type GeneralName, parseGeneralNameText } from "../x509/name/general-name.ts";
import { type DistinguishedName, parseSubjectText } from "../x509/name/read.ts";
import { failure } from "./failure.ts";

/** The flags of every command that works on a data folder. */
export interface DataFlags {
  readonly data: string;
  readonly set: Readonly<Record<string, string>>;
}

/** Adds `--data` and `--set` to a command. */
export function withData(command: Command): Command {
  return command
    .addOption(
      new Option("--data <dir>", "data folder of the authority")
        .default("data")
        .env("COUNTERSIGN_DATA"),
    )
    .option(
      "--set <key=value>",
      "a key of the configuration, e.g. --set listen.port=9443 (repeatable)",
      collectSetting,
      {},
    );
}

/** Loads the configuration of a data folder; throws CommandFailure with every problem. */
export function readConfig(flags: DataFlags): LoadedConfig {
  const loaded = loadConfig({ dataDir: flags.data, env: process.env, flags: flags.set });
  if (!loaded.ok) throw failure(loaded.refusal);
  return loaded.value;
}

/** Loads and compiles the configuration; throws CommandFailure with every problem. */
export function readCompiledConfig(flags: DataFlags): CompiledConfig {
  const compiled = compileConfig(readConfig(flags));
  if (!compiled.ok) throw failure(compiled.refusal);
  return compiled.value;
}

/** Reads a duration flag as seconds. */
export function durationFlag(text: string): number {
  const duration = parseDuration(text);
  if (!duration.ok) throw new InvalidArgumentError(duration.refusal.detail);
  return duration.value;
}

/** Collects a repeatable flag of names such as `dns:web.example.test`. */
export function collectName(text: string, before: readonly GeneralName[] = []): GeneralName[] {
  const name = parseGeneralNameText(text);
  if (!name.ok) throw new InvalidArgumentError(name.refusal.detail);
  return [...before, name.value];
}

/** Reads a subject, or attributes of one: `/C=IN/O=Example` or `OU=team-a`. */
export function subjectFlag(text: string): DistinguishedName {
  const subject = parseSubjectText(text);
  if (!subject.ok) throw new InvalidArgumentError(subject.refusal.detail);
  return subject.value;
}

/** Reads a whole number that is at least one. */
export function countFlag(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("a whole number from 1 on");
  return Number(text);
}

/** A passphrase from a file, without its final newline. */
export function passphraseFlag(path: string): string {
  const passphrase = readFileSync(path, "utf8").replace(/\r?\n$/, "");
  if (passphrase === "") throw new InvalidArgumentError(`${path} is empty`);
  return passphrase;
}

function collectSetting(
  text: string,
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("KEY=VALUE, e.g. listen.port=9443");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
