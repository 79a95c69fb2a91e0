import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../config/duration.ts";

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

/** Reads a duration flag as seconds. */
export function durationFlag(text: string): number {
  const duration = parseDuration(text);
  if (!duration.ok) throw new InvalidArgumentError(duration.refusal.detail);
  return duration.value;
}

/** Collects a repeatable flag; what its texts mean is read when the command runs. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Reads a whole number that is at least one. */
export function countFlag(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("a whole number from 1 on");
  return Number(text);
}

/** Reads an address for a certificate: RFC 5280 4.2.1.13 wants plain HTTP, for nobody to wait for TLS. */
export function httpUrlFlag(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== "http:")
    throw new InvalidArgumentError("an address that starts with http://");
  return url.href;
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
