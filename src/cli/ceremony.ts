/** Runs a ceremony for a command: what it refuses ends the command in the CLI's words. */

import { CeremonyRefused, FolderOccupied } from "../ceremony/refused.ts";
import { CommandFailure, exitCodes, failure } from "./failure.ts";

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
