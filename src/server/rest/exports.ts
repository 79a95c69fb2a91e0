/**
 * Lists that stream. Few run at once, and each ends when nobody reads it. Its reader is proven again
 * between pages, since a long list outlives many a certificate (S-32, S-33).
 */

import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { identityOf } from "../../authority/caller.ts";
import type { CompiledConfig } from "../../config/compile.ts";
import { accepted, type Outcome, refused } from "../../refusal.ts";
import { unwrap } from "./bodies.ts";

/** A reader that comes back after so long mostly finds a place. */
const RETRY_SECONDS = 5;

/** How many lists may stream, for one identity and in all. */
export class Exports {
  readonly #most: () => CompiledConfig["exports"];
  readonly #running = new Map<string, number>();
  #all = 0;

  /** `most` is asked each time, as a reload changes it. */
  constructor(most: () => CompiledConfig["exports"]) {
    this.#most = most;
  }

  /**
   * Streams the pages, each as one text, once there is a place. Throws a Problem (`rate-limited`)
   * when there is none. The answer breaks off when its reader loses its standing or stops reading.
   */
  send(
    request: FastifyRequest,
    reply: FastifyReply,
    pages: () => AsyncIterable<string>,
  ): FastifyReply {
    // Fastify would read a whole list to answer HEAD.
    if (request.method === "HEAD") return reply.send();
    const release = unwrap(this.#take(identityOf(request.caller)));
    const stream = Readable.from(provenPages(request, pages()), { highWaterMark: 1 });
    stream.once("close", release);
    return reply.send(stream);
  }

  #take(identity: string): Outcome<() => void> {
    const { perIdentity, inAll } = this.#most();
    const own = this.#running.get(identity) ?? 0;
    if (own >= perIdentity || this.#all >= inAll) {
      const whose = own >= perIdentity ? `${perIdentity} of this identity` : `${inAll} in all`;
      return refused(
        "rate-limited",
        `As many lists stream already as may at once: ${whose}. Read one to its end first, or read pages as application/json.`,
        { retryAfterSeconds: RETRY_SECONDS },
      );
    }
    this.#all += 1;
    this.#running.set(identity, own + 1);
    return accepted(() => {
      this.#all -= 1;
      const left = (this.#running.get(identity) ?? 1) - 1;
      if (left === 0) this.#running.delete(identity);
      else this.#running.set(identity, left);
    });
  }
}

async function* provenPages(
  request: FastifyRequest,
  pages: AsyncIterable<string>,
): AsyncGenerator<string> {
  let first = true;
  for await (const page of pages) {
    if (!first) await request.server.admitAgain(request);
    first = false;
    yield page;
  }
}
