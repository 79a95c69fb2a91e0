/** An OCSP answer as HTTP: what it says to caches, the same on every way that leads here. */

import { createHash } from "node:crypto";
import type { OcspAnswer } from "../../authority/ocsp/issuer-responder.ts";
import type { OcspResponder } from "../../authority/ocsp/responder.ts";
import { StoreUnavailable } from "../../store/store.ts";
import { encodeOcspError } from "../../x509/ocsp/encode.ts";

export const ocspRequestType = "application/ocsp-request";
export const ocspResponseType = "application/ocsp-response";
/** An OCSP request for a hundred certificates is some 10 kB. */
export const LARGEST_OCSP_REQUEST = 16 * 1024;

type Headers = readonly (readonly [name: string, value: string])[];

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

/** RFC 5019 6.2: how long a cache may keep the answer. */
export function ocspHeaders(answer: OcspAnswer): Headers {
  return [["cache-control", cacheControl(answer)], ...lastingHeaders(answer)];
}

/** The header that differs from second to second. */
export function cacheControl({ cacheable }: OcspAnswer): string {
  if (cacheable === undefined) return "no-store";
  const seconds = Math.max(0, Math.floor((cacheable.nextUpdate.getTime() - Date.now()) / 1000));
  return `max-age=${seconds}, public, no-transform, must-revalidate`;
}

/** The headers that stay the same as long as the answer does. */
export function lastingHeaders({ der, cacheable }: OcspAnswer): Headers {
  const type = ["content-type", ocspResponseType] as const;
  if (cacheable === undefined) return [type];
  const digest = createHash("sha256").update(der).digest("base64url").slice(0, 22);
  return [
    type,
    ["last-modified", cacheable.thisUpdate.toUTCString()],
    ["expires", cacheable.nextUpdate.toUTCString()],
    ["etag", `"${digest}"`],
  ];
}
