/**
 * Where the lines of the log go. Writing never waits and never fails for those who log. What cannot
 * be written is dropped and counted; the log says so when it can be written again (S-43).
 */

import { constants, fstatSync, openSync, write } from "node:fs";

/** What waits to be written at most, in characters; above it lines are dropped. */
const MOST_WAITING = 1_048_576;
/** How long after a failure it is tried again. */
const RETRY_MS = 1_000;
/** How long a reader that is behind is given before the next look. */
const BUSY_MS = 50;

/** A destination for pino on a file descriptor. */
export class LogDestination {
  readonly #fd: number;
  #waiting: string[] = [];
  #waitingLength = 0;
  #busy = false;
  #failure: string | undefined;
  #dropped = 0;
  /** Dropped since the log last said so. */
  #untold = 0;
  /** Whether the last line that was started has not been written to its end. */
  #torn = false;

  /** Takes a descriptor that is open for writing, such as 1. */
  constructor(fd: number) {
    this.#fd = nonBlocking(fd);
  }

  /** How many lines could not be written. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes one line, with its newline at the end. Returns at once and throws nothing. */
  write(line: string): void {
    if (this.#failure !== undefined || this.#waitingLength > MOST_WAITING) {
      this.#drop(1);
      return;
    }
    this.#waiting.push(line);
    this.#waitingLength += line.length;
    if (!this.#busy) this.#writeWaiting();
  }

  #drop(lines: number): void {
    this.#dropped += lines;
    this.#untold += lines;
  }

  #writeWaiting(): void {
    const lines = this.#waiting;
    if (lines.length === 0 && this.#untold === 0) return;
    this.#waiting = [];
    this.#waitingLength = 0;
    this.#busy = true;
    const told = this.#untold;
    const before = `${this.#torn ? "\n" : ""}${told === 0 ? "" : noticeOf(told, this.#failure)}`;
    const bytes = Buffer.from(before + lines.join(""));
    this.#writeFrom(bytes, 0, (failure, written) => {
      this.#busy = false;
      if (failure === undefined) {
        this.#failure = undefined;
        this.#torn = false;
        this.#untold -= told;
        this.#writeWaiting();
        return;
      }
      if (written > 0) this.#torn = bytes[written - 1] !== 0x0a;
      this.#failure = failure;
      this.#drop(lines.length + this.#waiting.length);
      this.#waiting = [];
      this.#waitingLength = 0;
      setTimeout(() => this.#writeWaiting(), RETRY_MS).unref();
    });
  }

  #writeFrom(
    bytes: Buffer,
    from: number,
    done: (failure: string | undefined, written: number) => void,
  ): void {
    write(this.#fd, bytes, from, bytes.length - from, null, (error, written) => {
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.#writeFrom(bytes, from, done), BUSY_MS).unref();
      } else if (error) {
        done(error.code ?? error.message, from);
      } else if (from + written < bytes.length) {
        this.#writeFrom(bytes, from + written, done);
      } else {
        done(undefined, bytes.length);
      }
    });
  }
}

/** The line that says what is missing, in the form of all others. */
function noticeOf(lines: number, failure = "its reader was behind"): string {
  const msg = `the log could not be written for a while (${failure}); lines dropped: ${lines}`;
  return `${JSON.stringify({ level: 40, time: Date.now(), dropped: lines, msg })}\n`;
}

/**
 * A pipe is opened anew, so that a reader that stands still makes nobody wait. Other processes share
 * the descriptor itself, which is left as it is. Where that cannot be done, a thread waits.
 */
function nonBlocking(fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return fd;
  }
}
