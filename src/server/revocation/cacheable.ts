/** Answers that caches may keep: validators, times, and 304 for who has it already (RFC 9111). */

import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { wholeSeconds } from "../../x509/time.ts";

const SLICE_BYTES = 256 * 1024;

export interface Cacheable {
  readonly type: string;
  /** With its quotes. */
  readonly etag: string;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Asked for only when it is sent. */
  body(): Buffer | Promise<Buffer>;
}

export async function sendCacheable(
  request: FastifyRequest,
  reply: FastifyReply,
  { type, etag, thisUpdate, nextUpdate, body }: Cacheable,
): Promise<FastifyReply> {
  reply
    .header("etag", etag)
    .header("last-modified", thisUpdate.toUTCString())
    .header("cache-control", `public, max-age=${secondsUntil(nextUpdate)}`)
    .header("expires", nextUpdate.toUTCString());
  const { "if-none-match": known, "if-modified-since": since } = request.headers;
  const unchanged =
    known === undefined
      ? since !== undefined && Date.parse(since) >= wholeSeconds(thisUpdate).getTime()
      : known.split(",").some((one) => one.trim() === etag || one.trim() === "*");
  if (unchanged) return reply.code(304).send();
  const bytes = await body();
  reply.type(type);
  if (bytes.length <= SLICE_BYTES) return reply.send(bytes);
  return reply.header("content-length", bytes.length).send(Readable.from(slicesOf(bytes)));
}

/** Megabytes that are encrypted in one turn would hold the event loop. */
function* slicesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}

export function etagOf(body: Uint8Array | string): string {
  return `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
}

function secondsUntil(date: Date): number {
  return Math.max(0, Math.floor((date.getTime() - Date.now()) / 1000));
}
