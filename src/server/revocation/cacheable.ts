/** Answers that caches may keep: validators, times, and 304 for who has it already (RFC 9111). */

import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { wholeSeconds } from "../../x509/time.ts";
import type { Answer } from "./operation.ts";

export interface Cacheable {
  readonly type: string;
  /** With its quotes. */
  readonly etag: string;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Asked for only when it is sent. */
  body(): Buffer | Promise<Buffer>;
}

const none = Buffer.alloc(0);

/** The whole answer, or 304 when the client's validators say that it has it. */
export async function cacheableAnswer(
  request: IncomingHttpHeaders,
  { type, etag, thisUpdate, nextUpdate, body }: Cacheable,
): Promise<Answer> {
  const headers = {
    etag,
    "last-modified": thisUpdate.toUTCString(),
    "cache-control": `public, max-age=${secondsUntil(nextUpdate)}`,
    expires: nextUpdate.toUTCString(),
  };
  const { "if-none-match": known, "if-modified-since": since } = request;
  const unchanged =
    known === undefined
      ? since !== undefined && Date.parse(since) >= wholeSeconds(thisUpdate).getTime()
      : known.split(",").some((one) => one.trim() === etag || one.trim() === "*");
  if (unchanged) return { status: 304, headers, body: none };
  const bytes = await body();
  return {
    status: 200,
    headers: { ...headers, "content-type": type, "content-length": bytes.length },
    body: bytes,
  };
}

export function etagOf(body: Uint8Array | string): string {
  return `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
}

function secondsUntil(date: Date): number {
  return Math.max(0, Math.floor((date.getTime() - Date.now()) / 1000));
}
