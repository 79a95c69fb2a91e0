import { ClientError, describeProblem } from "../../../client/problem.ts";
import { CommandFailure, exitCodes } from "../../failure.ts";

/** Runs a client command; its failures become messages for people. */
export async function speakingPlainly<T>(
  run: () => Promise<T>,
  exitCode: number = exitCodes.failed,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof ClientError) throw new CommandFailure(describeProblem(error), exitCode);
    throw error;
  }
}
