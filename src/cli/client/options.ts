import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import type { TokenSource } from "../../client/token.ts";
import { type KeyType, keyTypes } from "../../x509/key/private-key.ts";
import { CommandFailure, exitCodes } from "../failure.ts";

/** The folder of an identity when none is named. */
export const defaultIdentityFolder = "identity";

export interface TokenFlags {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tokenEnv?: string;
}

/** Adds the three ways of giving a token. */
export function withToken(command: Command): Command {
  return command
    .option("--token <jwt>", "enrolment token (other users can see it in the list of processes)")
    .option("--token-file <file>", "read the token from a file each time it is needed")
    .option("--token-env <name>", "read the token from an environment variable");
}

/** The token source of the flags; more than one is a mistake. */
export function tokenSource({ token, tokenFile, tokenEnv }: TokenFlags): TokenSource | undefined {
  const given: TokenSource[] = [
    ...(token === undefined ? [] : [token]),
    ...(tokenFile === undefined ? [] : [{ file: tokenFile }]),
    ...(tokenEnv === undefined ? [] : [{ env: tokenEnv }]),
  ];
  if (given.length > 1) {
    throw new CommandFailure("Give one of --token, --token-file, --token-env.", exitCodes.usage);
  }
  return given[0];
}

/** Reads a file flag as text. */
export function fileFlag(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** Reads the name of a key type, in any case. */
export function readKeyType(text: string): KeyType {
  const found = keyTypes.find((one) => one.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`There are: ${keyTypes.join(", ")}.`);
}
