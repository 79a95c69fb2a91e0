/** What Node's HTTP parser refuses never becomes a request: the answer is written here (RFC 9112). */

import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { timeOrderedId } from "../authority/time-ordered-id.ts";
import { problemAnswer } from "./problem.ts";

/** An error of the parser, with Node's code for it. */
interface ParserError extends Error {
  readonly code?: string;
}

/** Answers a connection whose bytes are no request, as a problem document, and ends it. */
export function answerClientError(error: ParserError, socket: Socket): void {
  const detail = detailOf(error.code);
  // A broken connection, or a handshake that failed: nobody reads HTTP there.
  if (detail === undefined || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = problemAnswer(
    { code: "malformed-request", detail },
    "",
    timeOrderedId(),
  );
  const lines = Object.entries({
    ...headers,
    "content-length": Buffer.byteLength(body),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
  socket.destroySoon();
}

function detailOf(code = ""): string | undefined {
  if (code === "HPE_HEADER_OVERFLOW") {
    return "The head of the request is longer than 16 KiB. Send fewer or shorter headers.";
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return "The request did not arrive in time. Send it again, at once and whole.";
  }
  if (!code.startsWith("HPE_")) return undefined;
  return "These bytes are not an HTTP/1.1 request. Send one whose headers and length are unambiguous.";
}
