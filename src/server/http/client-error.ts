/** What Node's HTTP parser refuses never becomes a request: the answer is written here (RFC 9112). */

import { type IncomingMessage, METHODS, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { timeOrderedId } from "../../authority/time-ordered-id.ts";
import type { Refusal } from "../../refusal.ts";
import { problemAnswer } from "../problem.ts";
import { fixedHeaders } from "./fixed-headers.ts";
import { latestOn } from "./latest.ts";
import { MOST_HEADER_BYTES } from "./limits.ts";

/** An error of the parser, with Node's code for it. */
interface ParserError extends Error {
  readonly code?: string;
  /** In the parser's words; one of a fixed set, nothing of the request. */
  readonly reason?: string;
  /** The bytes that it refused. */
  readonly rawPacket?: unknown;
}

/** How long what was sent already is still taken in: milliseconds. */
const LINGER_MS = 1_000;
const answered = new WeakSet<Duplex>();

/** Answers a connection whose bytes are no request, as a problem document, and ends it. */
export function answerClientError(error: ParserError, socket: Duplex): void {
  // The parser complains again about each piece that follows.
  if (answered.has(socket)) return;
  const refusal = refusalOf(error);
  // A broken connection, or a handshake that failed: nobody reads HTTP there.
  if (refusal === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  answered.add(socket);
  const { request, response } = latestOn(socket) ?? {};
  if (request === undefined || response === undefined) {
    writeProblem(socket, refusal);
  } else if (!request.complete) {
    if (response.headersSent) socket.destroy();
    else writeProblem(socket, refusal);
  } else if (response.writableFinished) {
    writeProblem(socket, refusal);
  } else {
    // The fault is in what follows: this would be read as the answer to what was asked before.
    response.once("finish", () => writeProblem(socket, refusal));
  }
}

/** Node gives a CONNECT (RFC 9110 9.3.6) to nobody, and would close the connection. */
export function answerConnect(_request: IncomingMessage, socket: Duplex): void {
  const allow = "GET, HEAD, POST";
  const detail = `CONNECT is not allowed here; there is: ${allow}.`;
  // The parser has let go of the connection: what still comes has to be read by somebody.
  socket.on("error", () => socket.destroy()).resume();
  writeProblem(socket, { code: "method-not-allowed", detail }, { allow });
}

function writeProblem(
  socket: Duplex,
  refusal: Refusal,
  more: Readonly<Record<string, string>> = {},
): void {
  if (!socket.writable) return;
  const { status, headers, body } = problemAnswer(refusal, "", timeOrderedId());
  const lines = Object.entries({
    ...fixedHeaders,
    ...headers,
    ...more,
    date: new Date().toUTCString(),
    "content-length": Buffer.byteLength(body),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
  // A connection closed over bytes that nobody read would take the answer with it (RFC 9112 9.6).
  const lingering = setTimeout(() => socket.destroy(), LINGER_MS);
  lingering.unref();
  socket.once("close", () => clearTimeout(lingering));
}

function refusalOf({ code = "", reason, rawPacket }: ParserError): Refusal | undefined {
  const bytes = Buffer.isBuffer(rawPacket) ? rawPacket : Buffer.alloc(0);
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return {
      code: "request-timeout",
      detail: "The request did not arrive in time. Send it again, at once and whole.",
    };
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return {
      code: "headers-too-large",
      detail: `The head of the request (its first line and its headers) is longer than ${MOST_HEADER_BYTES / 1024} KiB. Send fewer or shorter headers, or a shorter token.`,
    };
  }
  if (!code.startsWith("HPE_")) return undefined;
  // The first two octets of a TLS handshake (RFC 8446 5.1).
  if (bytes[0] === 0x16 && bytes[1] === 0x03) {
    return {
      code: "malformed-request",
      detail: "These bytes are TLS, and this port speaks plain HTTP: write http:// in the address.",
    };
  }
  const method = /^([!#$%&'*+.^_`|~\w-]{1,40}) \S+ HTTP\/\d/.exec(
    bytes.subarray(0, 2000).toString("latin1"),
  )?.[1];
  // A method that is known was read well: what the parser refused stands behind that request.
  if (code === "HPE_INVALID_METHOD" && method !== undefined && !METHODS.includes(method)) {
    return {
      code: "method-not-implemented",
      detail: `There is no method ${method} here. Methods are GET, HEAD and POST, in upper case.`,
    };
  }
  const why = reason ? ` (${reason})` : "";
  return {
    code: "malformed-request",
    detail: `These bytes are not an HTTP/1.1 request${why}. Send one whose headers and length are unambiguous.`,
  };
}
