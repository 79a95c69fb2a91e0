/** An operation of revocation: what OpenAPI says of it and how it answers stand in one place. */

import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { FastifySchema } from "fastify";
import type { RefusalCode } from "../../refusal.ts";

/** A request as an operation sees it. */
export interface Call {
  readonly headers: IncomingHttpHeaders;
  /** The groups of the operation's address, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Empty where the operation reads none. */
  readonly body: Uint8Array;
}

export interface Answer {
  readonly status: 200 | 304;
  /** All of them, `content-length` included where there is a body. */
  readonly headers: OutgoingHttpHeaders;
  /** Empty for 304. */
  readonly body: Buffer;
}

export interface Operation {
  /** A GET answers HEAD as well. */
  readonly method: "GET" | "POST";
  /** As a route is written: `:name`, `:name(expression)`, `*`. */
  readonly url: string;
  /** Whether a slash at the end of the address changes nothing. */
  readonly slashed?: boolean;
  readonly caller: "public" | "ocsp";
  readonly refuses?: readonly RefusalCode[];
  readonly schema: FastifySchema;
  /** What the body must be; `limit` in octets. */
  readonly reads?: { readonly type: string; readonly limit: number };
  /** Throws a Problem, StoreUnavailable, or what becomes a 500. */
  answer(call: Call): Answer | Promise<Answer>;
}
