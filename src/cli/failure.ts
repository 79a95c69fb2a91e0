import { type Refusal, renderRefusal } from "../refusal.ts";

/** Exit codes of every command; documented in docs/reference/cli.md. */
export const exitCodes = {
  fine: 0,
  /** It did not work, or was refused; standard error says why. */
  failed: 1,
  /** The command line cannot be read. */
  usage: 2,
  /** The configuration or the data folder is not right. */
  configuration: 3,
  /** `renew`: it failed, and the certificate in place has expired or is missing. */
  expired: 4,
  /** `renew`: renewed, but the command of --exec or the signal failed. */
  hook: 5,
} as const;

/** Ends a command with a message for people and an exit code. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: number;
  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A refusal as the end of a command. */
export function failure(refusal: Refusal): CommandFailure {
  return new CommandFailure(
    renderRefusal(refusal),
    refusal.code === "invalid-configuration" ? exitCodes.configuration : exitCodes.failed,
  );
}
