/** Which request a connection read last: its parser's errors have to know what was being answered. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

const latest = new WeakMap<Duplex, Exchange>();

/** Remembers what a connection asked last. */
export function remember(request: IncomingMessage, response: ServerResponse): void {
  latest.set(request.socket, { request, response });
}

/** What a connection asked last; undefined when it asked nothing yet. */
export function latestOn(socket: Duplex): Exchange | undefined {
  return latest.get(socket);
}
