/** An OCSP answer as HTTP: what it says to caches, the same on every way that leads here. */

import type { OutgoingHttpHeaders } from "node:http";
import type { OcspAnswer } from "../../authority/ocsp/issuer-responder.ts";
import type { OcspResponder } from "../../authority/ocsp/responder.ts";
import { StoreUnavailable } from "../../store/store.ts";
import { encodeOcspError } from "../../x509/ocsp/encode.ts";
import { etagOf } from "./cacheable.ts";

export const ocspRequestType = "application/ocsp-request";
export const ocspResponseType = "application/ocsp-response";
/** An OCSP request for a hundred certificates is some 10 kB. */
export const LARGEST_OCSP_REQUEST = 16 * 1024;

/** A store that does not answer is `tryLater`: the client asks again, and nobody is told "good". */
export async function answerOcsp(
  responder: OcspResponder,
  request: Uint8Array,
): Promise<OcspAnswer> {
  try {
    return await responder.answer(request);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    return { der: encodeOcspError("tryLater"), cacheable: undefined };
  }
}

/** What does not change while an answer is kept. */
const lasting = new WeakMap<OcspAnswer, OutgoingHttpHeaders>();

/** RFC 5019 6.2: how long a cache may keep the answer. */
export function ocspHeaders(answer: OcspAnswer): OutgoingHttpHeaders {
  let headers = lasting.get(answer);
  if (headers === undefined) {
    headers = lastingHeaders(answer);
    lasting.set(answer, headers);
  }
  return { ...headers, "cache-control": cacheControl(answer) };
}

function cacheControl({ cacheable }: OcspAnswer): string {
  if (cacheable === undefined) return "no-store";
  const seconds = Math.max(0, Math.floor((cacheable.nextUpdate.getTime() - Date.now()) / 1000));
  return `max-age=${seconds}, public, no-transform, must-revalidate`;
}

function lastingHeaders({ der, cacheable }: OcspAnswer): OutgoingHttpHeaders {
  const headers = { "content-type": ocspResponseType, "content-length": der.length };
  if (cacheable === undefined) return headers;
  return {
    ...headers,
    "last-modified": cacheable.thisUpdate.toUTCString(),
    expires: cacheable.nextUpdate.toUTCString(),
    etag: etagOf(der),
  };
}
