/** Runs a ceremony for a command: what it refuses ends the command in the CLI's words. */

import { CeremonyRefused, FolderOccupied } from "../ceremony/refused.ts";
import { CommandFailure, exitCodes, failure } from "./failure.ts";
import { ownCommand, shellWord } from "./own-command.ts";

/** Says where the operator's files are, and the password of the bundle: the only time that it is shown. */
export function tellOperator(
  data: string,
  password: string,
  bundle = `${data}/operator.p12`,
): void {
  const again = `${ownCommand()} bundle --operator ${shellWord(data)}`;
  console.log(
    `Operator: ${bundle}, password ${password} (shown only now; another: ${again}), operator.crt, operator.key`,
  );
}

/** Gives what a ceremony gives; throws CommandFailure for what it refuses. */
export async function perform<T>(ceremony: () => T | Promise<T>): Promise<T> {
  try {
    return await ceremony();
  } catch (error) {
    if (!(error instanceof CeremonyRefused)) throw error;
    if (error.refusal !== undefined) throw failure(error.refusal);
    throw new CommandFailure(
      error.message,
      error instanceof FolderOccupied ? exitCodes.configuration : exitCodes.failed,
    );
  }
}
