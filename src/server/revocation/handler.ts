/**
 * CRL, OCSP and issuer certificates on bare `node:http`, before any framework: they are asked for
 * most, by the simplest clients. Node reads the protocol; limits, refusals and counts stand here.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { pipeline, Readable } from "node:stream";
import { timeOrderedId } from "../../authority/time-ordered-id.ts";
import { requireNoCoding } from "../content-coding.ts";
import type { CountedRequest } from "../metrics.ts";
import { logFailure, Problem, problemAnswer, refusalOf } from "../problem.ts";
import { routePattern } from "../route-pattern.ts";
import type { Answer, Operation } from "./operation.ts";

export interface Surroundings {
  readonly log: { error: (fields: object, text: string) => void };
  /** Throws a Problem for an address that is over its limit. */
  readonly admit?: (address: string) => Promise<void>;
  readonly count?: (request: CountedRequest) => void;
}

interface Route {
  readonly pattern: RegExp;
  readonly operation: Operation;
}

/** Answers of more octets than this are sent slice by slice. */
const SLICE_BYTES = 256 * 1024;
const nothing = new Uint8Array(0);

/**
 * Puts the operations before `next`, which gets every request whose first part of the path is not
 * theirs. `isOpen` says whether connections are kept: while a server closes they are not.
 */
export function answerFirst(
  operations: readonly Operation[],
  surroundings: Surroundings,
  { next, isOpen }: { readonly next: RequestListener; readonly isOpen: () => boolean },
): RequestListener {
  const routes = operations.flatMap((operation) =>
    [operation.url, ...(operation.slashed ? [`${operation.url}/`] : [])].map((url) => ({
      operation,
      pattern: routePattern(url),
    })),
  );
  const ours = new Set(operations.map(({ url }) => firstPart(url)));
  return (request, response) => {
    const path = pathOf(request.url ?? "/");
    if (!ours.has(firstPart(path))) {
      next(request, response);
      return;
    }
    if (!isOpen()) response.shouldKeepAlive = false;
    serve(routes, path, request, response, surroundings);
  };
}

async function serve(
  routes: readonly Route[],
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  { log, admit, count }: Surroundings,
): Promise<void> {
  const method = request.method === "HEAD" ? "GET" : request.method;
  const here = routes.filter(({ pattern }) => pattern.test(path));
  const found = here.find(({ operation }) => operation.method === method);
  if (count) countWhenSent(request, response, here[0]?.operation.url, count);
  try {
    await admit?.(request.socket.remoteAddress ?? "");
    if (found === undefined) throw noSuchOperation(here, request, response);
    const { operation, pattern } = found;
    const params = decodeGroups(pattern.exec(path)?.groups);
    const body = operation.reads ? await readBody(request, operation.reads) : nothing;
    send(request, response, await operation.answer({ headers: request.headers, params, body }));
  } catch (error) {
    // A client that went away in the middle is no failure of ours.
    if (request.socket.destroyed) return;
    refuse(request, response, error, log);
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { status, headers, body } = answer;
  response.writeHead(status, headers);
  if (request.method === "HEAD" || status === 304) response.end();
  else if (body.length <= SLICE_BYTES) response.end(body);
  // A client that goes away in the middle ends both; there is nobody left to tell.
  else pipeline(Readable.from(slicesOf(body)), response, () => undefined);
}

/** Megabytes that are encrypted in one turn would hold the event loop. */
function* slicesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  log: Surroundings["log"],
): void {
  const refusal = refusalOf(error);
  const requestId = timeOrderedId();
  logFailure(log, error, refusal, requestId);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, headers, body } = problemAnswer(refusal, request.url ?? "/", requestId);
  // What is left of a body that is too large is not read.
  if (status === 413) response.shouldKeepAlive = false;
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** 405 with Allow where another method would do, else 404. */
function noSuchOperation(
  here: readonly Route[],
  request: IncomingMessage,
  response: ServerResponse,
): Problem {
  if (here.length === 0) {
    return new Problem({
      code: "not-found",
      detail:
        "There is nothing at this address. CRLs are under /crl/, issuers' certificates under /issuers/, and OCSP is at /ocsp; GET /v1/ca names the issuers.",
    });
  }
  const methods = here
    .flatMap(({ operation: { method } }) => (method === "GET" ? ["GET", "HEAD"] : [method]))
    .join(", ");
  response.setHeader("allow", methods);
  return new Problem({
    code: "method-not-allowed",
    detail: `${request.method} is not allowed here; there is: ${methods}.`,
  });
}

function readBody(
  request: IncomingMessage,
  { type, limit }: NonNullable<Operation["reads"]>,
): Promise<Uint8Array> | Uint8Array {
  const { headers } = request;
  const length = headers["content-length"];
  const isEmpty = headers["transfer-encoding"] === undefined && Number(length ?? 0) === 0;
  const given = headers["content-type"];
  if (isEmpty && given === undefined) return nothing;
  requireNoCoding(headers);
  if (given?.split(";", 1)[0]?.trim().toLowerCase() !== type) {
    throw new Problem({
      code: "unsupported-media-type",
      detail: `A body here is read as ${type} only. Send that Content-Type.`,
    });
  }
  if (Number(length) > limit) throw tooLarge(limit);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) reject(tooLarge(limit));
      else chunks.push(chunk);
    });
    request.on("end", () =>
      resolve(chunks[1] === undefined ? (chunks[0] ?? nothing) : Buffer.concat(chunks)),
    );
    request.on("error", reject);
  });
}

function tooLarge(limit: number): Problem {
  return new Problem({
    code: "payload-too-large",
    detail: `The body is larger than this route takes (${limit} octets).`,
  });
}

function decodeGroups(groups: Record<string, string> | undefined): Record<string, string> {
  const decoded: Record<string, string> = {};
  for (const [name, text] of Object.entries(groups ?? {})) {
    try {
      decoded[name] = text.includes("%") ? decodeURIComponent(text) : text;
    } catch {
      throw new Problem({
        code: "malformed-request",
        detail: "The path has a % that two hex digits of UTF-8 do not follow.",
      });
    }
  }
  return decoded;
}

/** A proxy may send the whole URL (RFC 9112 3.2.2); what follows the path is not looked at. */
function pathOf(target: string): string {
  const path = target.startsWith("/") ? target : target.replace(/^https?:\/\/[^/?]*/i, "");
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}

function firstPart(path: string): string {
  const end = path.indexOf("/", 1);
  return end < 0 ? path : path.slice(0, end);
}

function countWhenSent(
  { method = "" }: IncomingMessage,
  response: ServerResponse,
  route: string | undefined,
  count: NonNullable<Surroundings["count"]>,
): void {
  const begin = performance.now();
  response.once("close", () => {
    const seconds = (performance.now() - begin) / 1000;
    count({ method, route, status: response.statusCode, seconds });
  });
}
