/**
 * Judges the peer's certificate on every request. A handshake proves who was there when the
 * connection, or the session that it resumed, started. Since then the certificate may have expired
 * or been revoked. So `socket.authorized` is never asked: it stays true on both. It is even true
 * for a resumed TLS 1.3 session that never showed a certificate (nodejs/node#35317). Everything
 * that `openssl verify -purpose -crl_check_all` judges is judged here, also with
 * `rejectUnauthorized: false`.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { type Certificate, parseCertificate } from "../../x509/certificate/read.ts";
import { formatName } from "../../x509/name/read.ts";
import { ClientError } from "../problem.ts";
import { Authorities, readCertificates } from "./chain.ts";
import { type Purpose, purposeProblem } from "./path-rules.ts";
import type { Revocation } from "./shelf.ts";
import { Standings } from "./standings.ts";

/** What to do when neither CRL nor OCSP can be had. */
export type WhenUnknown = "deny" | "allow";

export interface GuardOptions {
  /** PEM: the roots that are trusted, and the CAs between them and the peers. */
  readonly ca: string | readonly string[] | (() => string | readonly string[]);
  /**
   * What to do when neither CRL nor OCSP can be had: there is no right answer for everybody. One
   * word is for every certificate of the path; two words tell the peer's own from the CAs above it.
   */
  readonly whenUnknown: WhenUnknown | { readonly peer: WhenUnknown; readonly issuers: WhenUnknown };
  /** What peers are: clients of this server (the default), or servers that this client called. */
  readonly purpose?: Purpose;
  /**
   * URLs asked instead of those in the peer's certificate, and before those in the certificates of
   * the CAs above it; `false` switches the source off.
   */
  readonly crl?: string | readonly string[] | false;
  readonly ocsp?: string | readonly string[] | false;
  /** How long an answer is used before it is asked for again; 60 s when not given. */
  readonly maxAgeMs?: number;
  /**
   * How long after its thisUpdate an answer or a list without nextUpdate is good; 1 h when not given
   * (`-status_age` of `openssl ocsp`).
   */
  readonly statusAgeMs?: number;
  /** For each fetch; 3 s when not given. */
  readonly timeoutMs?: number;
  readonly now?: () => Date;
  /** Told of every denial, and of every peer let in without an answer. */
  readonly onVerdict?: (verdict: Verdict) => void;
}

export type VerdictRule =
  | "no-certificate"
  | "malformed"
  | "expired"
  | "not-yet-valid"
  | "purpose"
  | "chain"
  | "revoked"
  | "unknown"
  | "good";

export interface Verdict {
  readonly allowed: boolean;
  readonly rule: VerdictRule;
  /** One sentence; for the log, and safe to answer with. */
  readonly message: string;
  readonly certificate?: Certificate;
}

/** A middleware of Express and Connect that also serves the other two. */
export interface RevocationGuard {
  (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void;
  /** For plain http: the verdict on the peer of a request or socket. */
  judge(peer: IncomingMessage | TLSSocket): Promise<Verdict>;
  /** For Fastify: `app.addHook("onRequest", guard.fastify)`. */
  fastify(request: { readonly raw: IncomingMessage }): Promise<void>;
}

const MAX_AGE_MS = 60_000;
const TIMEOUT_MS = 3_000;
const STATUS_AGE_MS = 3_600_000;

/** A denial as Fastify and Express answer it: 401 for none, 403 for a certificate that is not good. */
class Denied extends Error {
  override readonly name = "CertificateDenied";
  readonly code = "CERTIFICATE_DENIED";
  readonly statusCode: number;
  readonly status: number;
  readonly rule: VerdictRule;
  constructor({ rule, message }: Verdict) {
    super(message);
    this.rule = rule;
    this.statusCode = rule === "no-certificate" ? 401 : 403;
    this.status = this.statusCode;
  }
}

/**
 * Makes a guard. The server must ask for certificates (`requestCert: true`). Throws ClientError
 * `bad-input` for a `ca` that cannot be read.
 *
 * @example
 * const guard = revocationGuard({ ca: () => [identity.tls.ca, issuers], whenUnknown: "deny" });
 * app.addHook("onRequest", guard.fastify);
 */
export function revocationGuard(options: GuardOptions): RevocationGuard {
  const whenUnknown = readWhenUnknown(options.whenUnknown);
  const purpose = options.purpose ?? "sslclient";
  if (purpose !== "sslclient" && purpose !== "sslserver") {
    throw new ClientError("bad-input", 'revocationGuard: purpose is "sslclient" or "sslserver".');
  }
  const now = options.now ?? (() => new Date());
  const standings = new Standings({
    ...(options.crl !== undefined && { crl: options.crl }),
    ...(options.ocsp !== undefined && { ocsp: options.ocsp }),
    maxAgeMs: options.maxAgeMs ?? MAX_AGE_MS,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    statusAgeMs: options.statusAgeMs ?? STATUS_AGE_MS,
    now,
  });
  const authorities = authoritiesOf(options.ca);
  authorities();

  const judge = async (peer: IncomingMessage | TLSSocket): Promise<Verdict> => {
    const verdict = await judgeSafely(peer instanceof TLSSocket ? peer : peer.socket);
    if (verdict.rule !== "good") options.onVerdict?.(verdict);
    return verdict;
  };
  /** An error on the way to a verdict is a denial, never a pass. */
  const judgeSafely = async (socket: unknown): Promise<Verdict> => {
    try {
      const standing = judgeStanding(socket, authorities(), now(), purpose);
      if (!("path" in standing)) return standing;
      return verdictOf(standing.path, await standings.ofPath(standing.path), whenUnknown);
    } catch (error) {
      return deny("malformed", `The certificate cannot be judged: ${(error as Error).message}.`);
    }
  };

  const middleware = (request: IncomingMessage, _: ServerResponse, next: (e?: unknown) => void) => {
    judge(request).then((verdict) => next(verdict.allowed ? undefined : new Denied(verdict)), next);
  };
  return Object.assign(middleware, {
    judge,
    fastify: async ({ raw }: { readonly raw: IncomingMessage }) => {
      const verdict = await judge(raw);
      if (!verdict.allowed) throw new Denied(verdict);
    },
  });
}

interface WhenUnknownBoth {
  readonly peer: WhenUnknown;
  readonly issuers: WhenUnknown;
}

function readWhenUnknown(given: GuardOptions["whenUnknown"] | undefined): WhenUnknownBoth {
  const isWord = (word: unknown) => word === "deny" || word === "allow";
  if (typeof given === "object" && given !== null) {
    const { peer, issuers } = given;
    if (isWord(peer) && isWord(issuers)) return { peer, issuers };
  } else if (given !== undefined && isWord(given)) return { peer: given, issuers: given };
  throw new ClientError(
    "bad-input",
    'revocationGuard: say whenUnknown: "deny" or "allow", or { peer, issuers } with a word for each.',
  );
}

/** Reads `ca`, again only when its text has changed: a root may be exchanged while the service runs. */
function authoritiesOf(ca: GuardOptions["ca"]): () => Authorities {
  let text: string | undefined;
  let known: Authorities | undefined;
  return () => {
    const given = [typeof ca === "function" ? ca() : ca].flat().join("\n");
    if (known !== undefined && given === text) return known;
    let read: Authorities;
    try {
      read = new Authorities(readCertificates(given));
    } catch (cause) {
      throw new ClientError("bad-input", `revocationGuard: ca: ${(cause as Error).message}.`, {
        cause,
      });
    }
    if (read.roots.length === 0) {
      throw new ClientError(
        "bad-input",
        "revocationGuard: ca holds no root certificate, which is one that is signed with its own key.",
      );
    }
    text = given;
    known = read;
    return read;
  };
}

/** Everything that needs no network. The peer is read anew each time: TLS 1.2 may renegotiate. */
function judgeStanding(
  socket: unknown,
  authorities: Authorities,
  now: Date,
  purpose: Purpose,
): Verdict | { readonly path: readonly Certificate[] } {
  const peer = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (peer === undefined || peer.raw.length === 0) {
    return deny("no-certificate", "The peer presented no certificate.");
  }
  const parsed = parseCertificate(new Uint8Array(peer.raw), { trailingZeroBits: true });
  if (!parsed.ok) return deny("malformed", `The peer's certificate is ${parsed.refusal.detail}.`);
  const certificate = parsed.value;
  const { serial, notAfter, notBefore } = certificate;
  if (notAfter < now) {
    return deny(
      "expired",
      `Certificate ${serial} expired on ${notAfter.toISOString()}.`,
      certificate,
    );
  }
  if (notBefore > now) {
    return deny(
      "not-yet-valid",
      `Certificate ${serial} is not valid before ${notBefore.toISOString()}.`,
      certificate,
    );
  }
  const unfit = purposeProblem(certificate, purpose);
  if (unfit !== undefined) return deny("purpose", `Certificate ${serial} ${unfit}.`, certificate);
  const found = authorities.findPath(certificate, now, purpose);
  return "path" in found
    ? found
    : deny("chain", `Certificate ${serial} ${found.why}.`, certificate);
}

/** Revoked anywhere on the path is revoked; unknown anywhere is unknown, if nothing is revoked. */
function verdictOf(
  path: readonly Certificate[],
  standings: readonly Revocation[],
  whenUnknown: WhenUnknownBoth,
): Verdict {
  const [certificate] = path as readonly [Certificate];
  const unknown: { readonly depth: number; readonly message: string }[] = [];
  for (const [depth, standing] of standings.entries()) {
    const one = path[depth] ?? certificate;
    const name =
      depth === 0
        ? `Certificate ${one.serial}`
        : `CA certificate ${one.serial} (${formatName(one.subject)}), ${depth} above ${certificate.serial},`;
    if (standing.status === "revoked") {
      const { at, reason } = standing;
      const message = `${name} was revoked on ${at.toISOString()} (${reason}).`;
      return deny("revoked", message, certificate);
    }
    if (standing.status === "unknown") {
      const message = `Whether ${depth === 0 ? `certificate ${one.serial}` : name} is revoked cannot be told: ${standing.why}.`;
      unknown.push({ depth, message });
    }
  }
  const [first] = unknown;
  if (first === undefined) {
    const message = `Certificate ${certificate.serial} is good.`;
    return { allowed: true, rule: "good", message, certificate };
  }
  const denied = unknown.find(
    ({ depth }) => whenUnknown[depth === 0 ? "peer" : "issuers"] === "deny",
  );
  const { message } = denied ?? first;
  return { allowed: denied === undefined, rule: "unknown", message, certificate };
}

function deny(rule: VerdictRule, message: string, certificate?: Certificate): Verdict {
  return { allowed: false, rule, message, ...(certificate && { certificate }) };
}
