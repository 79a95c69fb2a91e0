/**
 * A browser adds a client certificate by itself, also when a foreign page makes the request. So a
 * certificate is no consent: what it authenticates comes from our own pages, or from no browser.
 */

import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Authority } from "../authority/authority.ts";
import { accepted, type Outcome, refused } from "../refusal.ts";
import { Problem } from "./problem.ts";

/** Where our own pages are served: the public address, and the names that our certificate holds. */
export interface OwnOrigins {
  readonly publicOrigin: string;
  /** DNS names and addresses, lower case, IPv6 without brackets. */
  readonly names: readonly string[];
}

const READING = new Set(["GET", "HEAD"]);
/** Fetch Metadata: a page of our own, or a person who typed an address. */
const OWN_SITES = new Set(["same-origin", "none"]);

/** Refuses, and audits, what a foreign page sent. Stands after the hook that resolves the caller. */
export function refuseForeignPages(
  app: FastifyInstance,
  authority: Authority,
  own: OwnOrigins,
): void {
  app.addHook("onRequest", async (request) => {
    // A program puts a token there by intent; a browser adds a certificate by itself.
    if (!("certificate" in request.caller)) return;
    const judged = judgeOrigin(request, own);
    if (judged.ok) return;
    await authority.record(request.caller, {
      action: "authenticate",
      verdict: "refused",
      code: judged.refusal.code,
      detail: { method: request.method, route: request.routeOptions.url ?? "" },
    });
    throw new Problem(judged.refusal);
  });
}

/**
 * Judges a request that a certificate authenticated. Refuses one that may change something and that
 * a browser sent for a page of another origin: by `Sec-Fetch-Site`, and by `Origin` (RFC 6454).
 * Programs send neither header and are not concerned.
 */
function judgeOrigin(request: FastifyRequest, own: OwnOrigins): Outcome<undefined> {
  if (READING.has(request.method)) return accepted(undefined);
  const { origin, host } = request.headers;
  const site = request.headers["sec-fetch-site"];
  if (site !== undefined && !OWN_SITES.has(String(site))) {
    return refuse(
      `Sec-Fetch-Site is ${JSON.stringify(site)}, and only same-origin or none may act`,
    );
  }
  if (origin !== undefined && !isOwn(origin, host, own)) {
    return refuse(`Origin is ${JSON.stringify(origin)}, and only ${own.publicOrigin} may act`);
  }
  return accepted(undefined);
}

function refuse(why: string): Outcome<undefined> {
  return refused(
    "foreign-origin",
    `A page of another origin sent this request with the browser's client certificate: ${why}. Nothing was done. Use the pages of this service, or a program that sends neither header.`,
  );
}

/** A page that was read under another of our names is ours too, when it asks that same name. */
function isOwn(origin: string, host: string | undefined, own: OwnOrigins): boolean {
  if (origin === own.publicOrigin) return true;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url?.protocol !== "https:" || url.origin !== origin || url.host !== host) return false;
  return own.names.includes(url.hostname.replace(/^\[|\]$/g, ""));
}
