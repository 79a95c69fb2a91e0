/** What every listener shares before any route: limits of the parser, fixed headers, one Host. */

import type {
  IncomingMessage,
  RequestListener,
  Server,
  ServerOptions,
  ServerResponse,
} from "node:http";
import { timeOrderedId } from "../../authority/time-ordered-id.ts";
import type { Refusal } from "../../refusal.ts";
import { problemAnswer } from "../problem.ts";
import { answerConnect } from "./client-error.ts";
import { fixedHeaders } from "./fixed-headers.ts";
import { remember } from "./latest.ts";
import { MOST_HEADER_BYTES } from "./limits.ts";

/** Times that a connection may take; seconds. */
export interface RequestTimeouts {
  readonly headersSeconds: number;
  readonly requestSeconds: number;
  /** A connection that moves no byte for so long is cut off, unless it waits for its next request. */
  readonly stalledReaderSeconds: number;
}

/** Idle time after which a kept-alive connection is closed; longer than common client pools keep one. */
const KEEP_ALIVE_MS = 65_000;

/** Options of `node:http` for a listener; Node's own refusals without a body are switched off. */
export function parserOptions(timeouts: RequestTimeouts): ServerOptions {
  return {
    maxHeaderSize: MOST_HEADER_BYTES,
    // `receive` asks for it, with a problem document.
    requireHostHeader: false,
    headersTimeout: timeouts.headersSeconds * 1000,
    requestTimeout: timeouts.requestSeconds * 1000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Node looks for overdue requests every 30 s otherwise, whatever the timeouts say.
    connectionsCheckingInterval: 1_000,
  };
}

/** Sets what a listener has no option for, and answers what Node would answer by itself or not at all. */
export function settle(server: Server, timeouts: RequestTimeouts): void {
  server.timeout = timeouts.stalledReaderSeconds * 1000;
  // Beyond a count, Node drops headers in silence, a second Host among them. Their size is limited.
  server.maxHeadersCount = 0;
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    prepare(request, response);
    refuse(request, response, {
      code: "expectation-failed",
      detail: `The expectation ${JSON.stringify(request.headers.expect)} cannot be met; 100-continue can.`,
    });
  });
  server.on("connect", answerConnect);
}

/** Puts the fixed headers on every answer, and lets only requests for one host pass to `next`. */
export function receive(next: RequestListener): RequestListener {
  return (request, response) => {
    prepare(request, response);
    const fault = findHostFault(request);
    if (fault === undefined) next(request, response);
    else refuse(request, response, { code: "malformed-request", detail: fault });
  };
}

function prepare(request: IncomingMessage, response: ServerResponse): void {
  remember(request, response);
  for (const name in fixedHeaders) {
    response.setHeader(name, fixedHeaders[name as keyof typeof fixedHeaders]);
  }
}

function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  const { status, headers, body } = problemAnswer(refusal, request.url ?? "/", timeOrderedId());
  // What was meant by the rest of the connection is as unclear.
  response.shouldKeepAlive = false;
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** A host and a port as RFC 3986 3.2 writes them; nothing, for an address that names no host. */
const hostAndPort = /^(\[[0-9a-f:.%\w-]+\]|[\w.~!$&'()*+,;=%-]*)(:\d{0,5})?$/i;

/** Why the Host header is not the one that RFC 9112 3.2 wants; undefined when it is. */
function findHostFault(request: IncomingMessage): string | undefined {
  const { rawHeaders, httpVersion, headers } = request;
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (name.length === 4 && name.toLowerCase() === "host") count++;
  }
  if (count > 1) return `The request has ${count} Host headers. Send one (RFC 9112 3.2).`;
  // OCSP clients of old speak HTTP/1.0, which has no Host.
  if (count === 0) {
    return httpVersion === "1.0"
      ? undefined
      : "The request has no Host header. Send one (RFC 9112 3.2).";
  }
  const { host = "" } = headers;
  return hostAndPort.test(host)
    ? undefined
    : `The Host header ${JSON.stringify(host.slice(0, 100))} is not a host and a port (RFC 9112 3.2).`;
}
