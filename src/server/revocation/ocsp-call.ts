/**
 * Finds an OCSP request in the first octets of an HTTP/1 message. It knows only the plain form in
 * which clients send one; whatever differs is left to the real HTTP server, which also refuses.
 */

import { decodeBase64 } from "../../der/pem.ts";
import { LARGEST_OCSP_REQUEST, ocspRequestType } from "./ocsp-answer.ts";

export interface OcspCall {
  /** The OCSP request, DER as it came. */
  readonly der: Uint8Array;
  /** Whether the client waits for more on this connection. */
  readonly keepAlive: boolean;
}

/** A plain head is some 200 octets long, and a GET of several certificates some more. */
const LONGEST_HEAD = 4096;
const requestLine = /(?:POST \/ocsp|GET \/ocsp\/([A-Za-z0-9+/=%]{1,3000})) HTTP\/1\.([01])\r\n/y;
const headerLine = /([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([\t\x20-\x7e]*)\r\n/y;

/**
 * Reads one whole message. `incomplete`: its body is still on the way. `other`: it is none of ours,
 * or not alone, or not in the plain form.
 */
export function readOcspCall(message: Buffer): OcspCall | "incomplete" | "other" {
  const head = message.toString("latin1", 0, Math.min(message.length, LONGEST_HEAD));
  requestLine.lastIndex = 0;
  const line = requestLine.exec(head);
  if (line === null) return "other";
  const [, encoded, minor] = line;
  const headers = readHeaders(head, requestLine.lastIndex);
  if (headers === undefined || (minor === "1" && headers.host === undefined)) return "other";
  const { connection = minor === "1" ? "keep-alive" : "close", end } = headers;
  // HTTP/1.0 keeps a connection only by an agreement that the HTTP server knows how to make.
  if (connection !== "close" && (connection !== "keep-alive" || minor === "0")) return "other";
  const keepAlive = connection === "keep-alive";
  if (encoded !== undefined) {
    const alone = headers["content-length"] === undefined && message.length === end;
    const der = alone ? decodePath(encoded) : undefined;
    return der === undefined ? "other" : { der, keepAlive };
  }
  const length = headers["content-length"] ?? "";
  if (!/^\d{1,5}$/.test(length) || headers["content-type"] !== ocspRequestType) return "other";
  const stop = end + Number(length);
  if (Number(length) > LARGEST_OCSP_REQUEST || message.length > stop) return "other";
  return message.length < stop ? "incomplete" : { der: message.subarray(end, stop), keepAlive };
}

type Known = "host" | "connection" | "content-length" | "content-type";
const known: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "content-length",
  "content-type",
]);
/** With these, the message is longer than it looks, or wants more than an answer. */
const foreign: ReadonlySet<string> = new Set([
  "transfer-encoding",
  "content-encoding",
  "expect",
  "upgrade",
  "te",
  "trailer",
]);

/** The headers that count and where they end; undefined when any is unclear or stands twice. */
function readHeaders(head: string, from: number) {
  const found: { [name in Known]?: string } & { end: number } = { end: 0 };
  headerLine.lastIndex = from;
  let at = from;
  for (let line = headerLine.exec(head); line !== null; line = headerLine.exec(head)) {
    at = headerLine.lastIndex;
    const name = (line[1] ?? "").toLowerCase();
    if (foreign.has(name)) return undefined;
    if (!isKnown(name)) continue;
    if (found[name] !== undefined) return undefined;
    const value = (line[2] ?? "").trim();
    found[name] = name === "host" ? value : value.toLowerCase();
  }
  if (!head.startsWith("\r\n", at)) return undefined;
  found.end = at + 2;
  return found;
}

function isKnown(name: string): name is Known {
  return known.has(name);
}

/** RFC 6960 A.1: base64, then URL-encoded; clients that leave out the second are understood too. */
function decodePath(text: string): Uint8Array | undefined {
  try {
    return decodeBase64(text.includes("%") ? decodeURIComponent(text) : text);
  } catch {
    return undefined;
  }
}
