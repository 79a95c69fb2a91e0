/**
 * A light HTTP/1.1 client for benchmarks, on plain sockets. Its requests are made beforehand, and
 * it reads only what it takes to find the end of an answer. A process of its own, told what to do
 * by its parent over the channel between them.
 */

import { connect, type Socket } from "node:net";

export interface LoadOrder {
  readonly port: number;
  /** Whole requests, base64; sent in turn. */
  readonly requests: readonly string[];
  readonly answers: number;
  readonly connections: number;
  /** Whether connections are kept; else each answer comes on a new one, which the server ends. */
  readonly keepAlive: boolean;
  /** Hex with which each body must start. */
  readonly bodyBegins: string;
}

export interface LoadResult {
  readonly seconds: number;
  readonly cpuMicros: number;
}

const HEADERS_END = Buffer.from("\r\n\r\n");

process.on("message", (order: LoadOrder) => {
  run(order).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function run(order: LoadOrder): Promise<LoadResult> {
  const requests = order.requests.map((one) => Buffer.from(one, "base64"));
  const begins = Buffer.from(order.bodyBegins, "hex");
  let sent = 0;
  const next = () => (sent < order.answers ? requests[sent++ % requests.length] : undefined);
  const check = (answer: Buffer, body: number) => {
    const ok = answer.toString("latin1", 9, 12) === "200";
    if (ok && answer.subarray(body, body + begins.length).equals(begins)) return;
    throw new Error(`not the answer expected: ${answer.toString("latin1", 0, 300)}`);
  };
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const worker = order.keepAlive ? keptConnection : newConnections;
  await Promise.all(
    Array.from({ length: order.connections }, () => worker(order.port, next, check)),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - begin) / 1000, cpuMicros: user + system };
}

type Next = () => Buffer | undefined;
type Check = (answer: Buffer, body: number) => void;

/** One connection, one request after the other. */
function keptConnection(port: number, next: Next, check: Check): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = open(port, reject);
    let answer: Buffer = Buffer.alloc(0);
    const send = () => {
      const request = next();
      if (request === undefined) socket.end(resolve);
      else socket.write(request);
    };
    socket.on("connect", send);
    socket.on("close", resolve);
    socket.on("data", (chunk) => {
      answer = answer.length === 0 ? chunk : Buffer.concat([answer, chunk]);
      const body = bodyOf(answer);
      if (body === undefined || answer.length < body.end) return;
      check(answer, body.start);
      answer = Buffer.alloc(0);
      send();
    });
  });
}

/** A connection for each request; the server closes it, or is asked to. */
async function newConnections(port: number, next: Next, check: Check): Promise<void> {
  for (let request = next(); request !== undefined; request = next()) {
    const bytes = request;
    await new Promise<void>((resolve, reject) => {
      const chunks: Buffer[] = [];
      const socket = open(port, reject);
      socket.write(bytes);
      socket.on("data", (chunk) => chunks.push(chunk));
      socket.on("close", () => {
        const answer = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
        check(answer, answer.indexOf(HEADERS_END) + HEADERS_END.length);
        resolve();
      });
    });
  }
}

function open(port: number, reject: (error: Error) => void): Socket {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", reject);
  return socket;
}

/** Where the body stands in an answer; undefined while its headers are not complete. */
function bodyOf(answer: Buffer): { readonly start: number; readonly end: number } | undefined {
  const headersEnd = answer.indexOf(HEADERS_END);
  if (headersEnd < 0) return undefined;
  const start = headersEnd + HEADERS_END.length;
  const length = /\r\ncontent-length: (\d+)/i.exec(answer.toString("latin1", 0, headersEnd))?.[1];
  if (length === undefined) throw new Error("an answer without content-length");
  return { start, end: start + Number(length) };
}
