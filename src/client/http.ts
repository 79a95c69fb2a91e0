/** One HTTPS request on a connection of its own: nothing is pooled, no session is resumed. */

import type { IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { ClientError } from "./problem.ts";

export interface ClientAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The values of a header, one for each of its lines: `headers` joins them with commas. */
  readonly linesOf: (name: string) => readonly string[];
  readonly text: string;
}

export interface ClientRequest {
  readonly method: "GET" | "POST";
  /** Origin and path. */
  readonly url: URL;
  /** PEM of the only root that is trusted; undefined trusts nobody and verifies nothing. */
  readonly root: string | undefined;
  /** Client certificate chain and key, PEM. */
  readonly holder?: { readonly certificate: string; readonly key: string };
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
  /** Gives up sooner than that. */
  readonly signal?: AbortSignal | undefined;
}

const TIMEOUT_MS = 30_000;
/** Chains and indexes entries are a few KiB. */
const MOST_ANSWER_BYTES = 1024 * 1024;

/** Sends it; throws ClientError `unreachable` or `untrusted`. Any HTTP status is an answer. */
export function send(call: ClientRequest): Promise<ClientAnswer> {
  const { url, root, holder, body, timeoutMs = TIMEOUT_MS, signal } = call;
  if (url.protocol !== "https:") {
    const message = `${url.origin} is not https: tokens and names travel to it.`;
    return Promise.reject(new ClientError("bad-input", message));
  }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, {
      method: call.method,
      agent: false,
      minVersion: "TLSv1.2",
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]),
      // Unverified only to read the root that is then held against a fingerprint (see trust.ts).
      // Said also when true: NODE_TLS_REJECT_UNAUTHORIZED must not send a token to a stranger.
      rejectUnauthorized: root !== undefined,
      ...(root !== undefined && { ca: root }),
      ...(holder && { cert: holder.certificate, key: holder.key }),
      headers: { "user-agent": "countersign-client", ...call.headers },
    });
    const limit = () => (signal?.aborted ? "in the time given" : `within ${timeoutMs / 1000} s`);
    const fail = (error: Error) => reject(explain(error, url, limit()));
    request.on("error", fail);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > MOST_ANSWER_BYTES) response.destroy(new Error("the answer is too long"));
      });
      response.on("error", fail);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          linesOf: (name) => response.headersDistinct[name] ?? [],
          text: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    request.end(body);
  });
}

/** Codes by which Node says that a certificate, not the network, is the reason. */
const distrust =
  /^(ERR_TLS_CERT|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|CERT_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/;

function explain(error: Error & { code?: unknown }, url: URL, limit: string): ClientError {
  const code = typeof error.code === "string" ? error.code : "";
  const why =
    error.name === "TimeoutError" || error.name === "AbortError"
      ? `no answer ${limit}`
      : error.message || code;
  return new ClientError(
    distrust.test(code) ? "untrusted" : "unreachable",
    `${url.origin}: ${why}.`,
    { cause: error },
  );
}
