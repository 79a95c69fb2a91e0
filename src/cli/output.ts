/** Standard output of commands whose reader may have seen enough, as in `… | head`. */

import process from "node:process";
import { pipeline } from "node:stream/promises";

/** Writes what comes as fast as it is read, and ends early when nobody reads any more. */
export async function printAll(chunks: AsyncIterable<string | Uint8Array>): Promise<void> {
  try {
    await pipeline(chunks, process.stdout, { end: false });
  } catch (error) {
    if (!isUnread(error)) throw error;
  }
}

/**
 * A reader of standard output that is gone is not a failure. Without a listener, it would end us
 * with a stack.
 */
export function allowUnread(): void {
  process.stdout.on("error", (error) => {
    if (!isUnread(error)) throw error;
  });
}

/**
 * From here on nothing that is printed can end the process: neither a full disk nor a reader that is
 * gone.
 */
export function allowUnwritten(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners("error");
    stream.on("error", () => {});
  }
}

function isUnread(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EPIPE";
}
