/**
 * Judges the peer's certificate on every request. A handshake proves who was there when the
 * connection, or the session that it resumed, began; since then the certificate may have expired or
 * been revoked. So `socket.authorized` is never asked: it stays true on both, and it is even true
 * for a resumed TLS 1.3 session that never showed a certificate (nodejs/node#35317).
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { type Certificate, parseCertificate } from "../../x509/certificate/read.ts";
import { extendedKeyUsageOids } from "../../x509/extensions/encode.ts";
import { ClientError } from "../problem.ts";
import { findPath, readCertificates } from "./chain.ts";
import { CrlSource, OcspSource, type Revocation, type SourceSettings } from "./sources.ts";

export interface GuardOptions {
  /** PEM: the roots that are trusted, and the CAs between them and the peers. */
  readonly ca: string | readonly string[] | (() => string | readonly string[]);
  /** What to do when neither CRL nor OCSP can be had: there is no right answer for everybody. */
  readonly whenUnknown: "deny" | "allow";
  /** URLs asked instead of those in the certificate; `false` switches the source off. */
  readonly crl?: string | readonly string[] | false;
  readonly ocsp?: string | readonly string[] | false;
  /** How long an answer is used before it is asked for again; 60 s when not given. */
  readonly maxAgeMs?: number;
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
  const { whenUnknown } = options;
  if (whenUnknown !== "deny" && whenUnknown !== "allow") {
    throw new ClientError("bad-input", 'revocationGuard: say whenUnknown: "deny" or "allow".');
  }
  const settings: SourceSettings = {
    maxAgeMs: options.maxAgeMs ?? MAX_AGE_MS,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    now: options.now ?? (() => new Date()),
  };
  const crl = new CrlSource(settings);
  const ocsp = new OcspSource(settings);
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
      const standing = judgeStanding(socket, authorities(), settings.now());
      if (!("path" in standing)) return standing;
      const [certificate, issuer] = standing.path;
      const revocation = await askAll(certificate, issuer);
      return verdictOf(certificate, revocation, whenUnknown);
    } catch (error) {
      return deny("malformed", `The certificate cannot be judged: ${(error as Error).message}.`);
    }
  };
  const askAll = async (certificate: Certificate, issuer: Certificate): Promise<Revocation> => {
    // RFC 9608: its issuer has said that it will never be revoked; it is too short-lived.
    if (certificate.noRevAvail) return { status: "good" };
    const questions = [
      ...urlsOf(options.ocsp, certificate.ocspUrls).map(
        (url) => () => ocsp.ask(url, certificate, issuer),
      ),
      ...urlsOf(options.crl, certificate.crlDistributionPoints).map(
        (url) => () => crl.ask(url, certificate, issuer),
      ),
    ];
    const reasons: string[] = [];
    for (const ask of questions) {
      try {
        const answer = await ask();
        if (answer.status !== "unknown") return answer;
        reasons.push(answer.why);
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    }
    const why =
      reasons.join("; ") || "neither CRL nor OCSP is named in the certificate or configured";
    return { status: "unknown", why };
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

interface Authorities {
  readonly anchors: readonly Certificate[];
  readonly issuers: readonly Certificate[];
}

/** Reads `ca`, again only when its text has changed: a root may be exchanged while the service runs. */
function authoritiesOf(ca: GuardOptions["ca"]): () => Authorities {
  let text: string | undefined;
  let read: Authorities = { anchors: [], issuers: [] };
  return () => {
    const given = [typeof ca === "function" ? ca() : ca].flat().join("\n");
    if (given === text) return read;
    try {
      const all = readCertificates(given);
      const isRoot = (one: Certificate) => Buffer.compare(one.issuer.der, one.subject.der) === 0;
      read = { anchors: all.filter(isRoot), issuers: all.filter((one) => !isRoot(one)) };
    } catch (cause) {
      throw new ClientError("bad-input", `revocationGuard: ca: ${(cause as Error).message}.`, {
        cause,
      });
    }
    if (read.anchors.length === 0) {
      throw new ClientError("bad-input", "revocationGuard: ca holds no root certificate.");
    }
    text = given;
    return read;
  };
}

/** Everything that needs no network. The peer is read anew each time: TLS 1.2 may renegotiate. */
function judgeStanding(
  socket: unknown,
  { anchors, issuers }: Authorities,
  now: Date,
): Verdict | { readonly path: readonly [Certificate, Certificate] } {
  const peer = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (peer === undefined || peer.raw.length === 0) {
    return deny("no-certificate", "The client presented no certificate.");
  }
  const parsed = parseCertificate(new Uint8Array(peer.raw));
  if (!parsed.ok) return deny("malformed", `The client's certificate is ${parsed.refusal.detail}.`);
  const certificate = parsed.value;
  const { serial, notAfter, notBefore, extendedKeyUsage } = certificate;
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
  if (!extendedKeyUsage?.includes(extendedKeyUsageOids.clientAuth)) {
    return deny(
      "purpose",
      `Certificate ${serial} is not meant for client authentication.`,
      certificate,
    );
  }
  const [leaf, issuer] = findPath(certificate, issuers, anchors, now) ?? [];
  if (leaf === undefined || issuer === undefined) {
    return deny("chain", `Certificate ${serial} does not lead to a trusted root.`, certificate);
  }
  return { path: [leaf, issuer] };
}

function verdictOf(
  certificate: Certificate,
  revocation: Revocation,
  whenUnknown: "deny" | "allow",
): Verdict {
  const { serial } = certificate;
  switch (revocation.status) {
    case "good":
      return {
        allowed: true,
        rule: "good",
        message: `Certificate ${serial} is good.`,
        certificate,
      };
    case "revoked": {
      const { at, reason } = revocation;
      const message = `Certificate ${serial} was revoked on ${at.toISOString()} (${reason}).`;
      return deny("revoked", message, certificate);
    }
    case "unknown": {
      const message = `Whether certificate ${serial} is revoked cannot be told: ${revocation.why}.`;
      return { allowed: whenUnknown === "allow", rule: "unknown", message, certificate };
    }
  }
}

function deny(rule: VerdictRule, message: string, certificate?: Certificate): Verdict {
  return { allowed: false, rule, message, ...(certificate && { certificate }) };
}

function urlsOf(given: string | readonly string[] | false | undefined, own: readonly string[]) {
  if (given === false) return [];
  return given === undefined ? own : [given].flat();
}
