/**
 * Who may call a route is data on the route; this hook resolves the caller on every request and
 * refuses before the body is read. What the TLS library thinks of the peer (`socket.authorized`)
 * is never asked: a resumed session may say yes to anyone (S-01 to S-03).
 */

import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { FastifyInstance, FastifyRequest, RouteOptions } from "fastify";
import type { Authority } from "../authority/authority.ts";
import type { Caller, CertificateCaller, Origin } from "../authority/caller.ts";
import { judgeRow, proveSigned, type SignedCertificate } from "../authority/proof/signed.ts";
import { graceOf, judgeCertificate, judgeToken } from "../authority/standing.ts";
import { accepted, type Outcome, refused } from "../refusal.ts";
import type { StoredCertificate } from "../store/store.ts";
import { Problem } from "./problem.ts";

/** What each rule admits. An operator is a certificate with a role and may do what any may. */
export const callerRules = {
  /** Anyone. */
  public: { token: false, certificate: false, operator: false },
  /** An enrolment token, or an operator. */
  token: { token: true, certificate: false, operator: true },
  /** An enrolment token, a certificate of this authority, or an operator. */
  "token-or-certificate": { token: true, certificate: true, operator: true },
  /** Whom `index.readers` admits to the index: any living certificate, or operators only. */
  reader: { token: false, certificate: true, operator: true },
  /** A living certificate of this authority. */
  certificate: { token: false, certificate: true, operator: true },
  /** As `certificate`; one that expired within its profile's `renew.graceAfterExpiry` as well. */
  renewal: { token: false, certificate: true, operator: true },
  /** A certificate whose profile has the role `operator`. */
  operator: { token: false, certificate: false, operator: true },
  /** RFC 6960: requests are public, answers signed. */
  ocsp: { token: false, certificate: false, operator: false },
} as const satisfies Record<string, { token: boolean; certificate: boolean; operator: boolean }>;

export type CallerRule = keyof typeof callerRules;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Who may call this route; a route that does not say keeps the server from starting. */
    caller?: CallerRule;
    /** How the callers of this route prove themselves: its scope says it, by `proveCallers`. */
    proof?: ConnectionProof | BodyProof;
  }
  interface FastifyInstance {
    /** Proves a request's caller once more, for what takes long; throws as the first proof does. */
    admitAgain(request: FastifyRequest): Promise<void>;
  }
  interface FastifyRequest {
    caller: Caller;
    /** The certificate that the peer proved to hold on this connection, DER. */
    peer: Uint8Array | undefined;
  }
}

/** How the routes of a scope learn who calls. */
interface CallerProof {
  /** Where callers prove themselves: on the connection and in headers, or in the body. */
  readonly within: "connection" | "body";
  /** Who calls, or why the rule does not admit it. */
  resolve(request: FastifyRequest, rule: CallerRule): Promise<Outcome<Caller>>;
}

/** A proof that is made before the body. */
export interface ConnectionProof extends CallerProof {
  readonly within: "connection";
  /** The same caller as its credential stands now: a body may take long to come (S-32). */
  resolveAgain(request: FastifyRequest, rule: CallerRule): Promise<Outcome<Caller>>;
}

/** A proof that the body itself holds. */
export interface BodyProof extends CallerProof {
  readonly within: "body";
}

/** Says how callers of a scope's routes prove themselves. Must come before the routes. */
export function proveCallers(scope: FastifyInstance, proof: ConnectionProof | BodyProof): void {
  scope.addHook("onRoute", (route) => {
    route.config = { ...route.config, proof };
  });
}

/** Proof by a bearer token, or by the client certificate of the TLS connection. */
export function provenByConnection(authority: Authority): ConnectionProof {
  return {
    within: "connection",
    resolve: (request, rule) => resolveCaller(authority, request, rule),
    resolveAgain: (request, rule) => proveAgain(authority, request, rule),
  };
}

/** What each caller has: the request, and where it comes from. */
export function originOf(request: FastifyRequest): Origin {
  return { requestId: request.id, address: request.ip };
}

/**
 * Makes every route of `app` and its scopes declare its caller, and enforces what they declare.
 * `readers` says who a reader is: it is asked each time, as a reload changes it.
 */
export function requireCallers(
  app: FastifyInstance,
  authority: Authority,
  readers: () => "certificate" | "operator",
): void {
  const rulesOf = ({ routeOptions: { config } }: FastifyRequest) => ({
    rule: config.caller === "reader" ? readers() : config.caller,
    proof: config.proof,
  });
  const routes: RouteOptions[] = [];
  app.addHook("onRoute", (route) => {
    routes.push(route);
  });
  app.addHook("onReady", async () => {
    // Not before: the hooks of inner scopes run after this scope's own.
    const undeclared = routes
      .filter((route) => route.config?.caller === undefined)
      .map((route) => `${String(route.method)} ${route.url}`);
    if (undeclared.length > 0) {
      throw new Error(
        `these routes declare no caller (config.caller) and would be open to anyone: ${undeclared.join(", ")}`,
      );
    }
    const unproven = routes
      .filter(({ config }) => !isOpen(config?.caller) && config?.proof === undefined)
      .map((route) => `${String(route.method)} ${route.url}`);
    if (unproven.length > 0) {
      throw new Error(
        `these routes are not for everyone, and their scope does not say how callers prove themselves (proveCallers): ${unproven.join(", ")}`,
      );
    }
  });
  app.decorateRequest("caller");
  app.decorateRequest("peer");
  app.addHook("onRequest", async (request) => {
    request.caller = { kind: "anonymous", ...originOf(request) };
    const { rule, proof } = rulesOf(request);
    if (rule === undefined || isOpen(rule) || proof?.within !== "connection") return;
    await admit(authority, request, await proof.resolve(request, rule));
  });
  app.addHook("preValidation", async (request) => {
    const { rule, proof } = rulesOf(request);
    if (rule === undefined || isOpen(rule) || proof?.within !== "body") return;
    await admit(authority, request, await proof.resolve(request, rule));
  });
  app.decorate("admitAgain", async (request: FastifyRequest) => {
    const { rule, proof } = rulesOf(request);
    if (rule === undefined || isOpen(rule) || proof?.within !== "connection") return;
    await admit(authority, request, await proof.resolveAgain(request, rule));
  });
  app.addHook("preHandler", async (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") await app.admitAgain(request);
  });
}

/** Puts the caller on the request, or refuses with a line in the audit. */
async function admit(
  authority: Authority,
  request: FastifyRequest,
  outcome: Outcome<Caller>,
): Promise<void> {
  if (outcome.ok) {
    request.caller = outcome.value;
    return;
  }
  await authority.record(request.caller, {
    action: "authenticate",
    verdict: "refused",
    code: outcome.refusal.code,
    detail: { method: request.method, route: request.routeOptions.url ?? "" },
  });
  throw new Problem(outcome.refusal);
}

function isOpen(rule: CallerRule | undefined): boolean {
  return rule === "public" || rule === "ocsp";
}

/** The caller as a holder of a certificate; for handlers of routes that admit nobody else. */
export function holderOf(request: FastifyRequest): { caller: CertificateCaller; held: Uint8Array } {
  const { caller, peer } = request;
  if ((caller.kind !== "certificate" && caller.kind !== "operator") || peer === undefined) {
    throw new Error("a route for holders was reached without a certificate");
  }
  return { caller, held: peer };
}

async function resolveCaller(
  authority: Authority,
  request: FastifyRequest,
  rule: CallerRule,
): Promise<Outcome<Caller>> {
  const admits = callerRules[rule];
  const { authorization } = request.headers;
  if (admits.token && authorization !== undefined) {
    const token = /^Bearer +([\w.~+/=-]+)$/i.exec(authorization)?.[1];
    if (token === undefined) {
      return refused(
        "invalid-token",
        "The Authorization header is not of the form `Bearer TOKEN`.",
      );
    }
    const verified = await authority.verifyToken(token);
    return verified.ok
      ? accepted({ kind: "token", ...originOf(request), token: verified.value })
      : verified;
  }
  const peer = peerOf(request.raw, authority);
  if (peer === undefined) return refused("unauthenticated", wanted(rule));
  request.peer = peer.der;
  return asHolder(authority, peer, rule, request);
}

/** The same caller as its credential stands now: revocation, hold, life and role are read again. */
async function proveAgain(
  authority: Authority,
  request: FastifyRequest,
  rule: CallerRule,
): Promise<Outcome<Caller>> {
  const { caller } = request;
  if (caller.kind === "token") {
    const living = judgeToken(caller.token, authority.now());
    return living.ok ? accepted(caller) : living;
  }
  const peer = peerOf(request.raw, authority);
  if (peer === undefined) return refused("unauthenticated", wanted(rule));
  return asHolder(authority, peer, rule, request);
}

/** A peer as a caller that the rule admits. */
async function asHolder(
  authority: Authority,
  peer: Peer,
  rule: CallerRule,
  request: FastifyRequest,
): Promise<Outcome<Caller>> {
  const signed = await peer.signed;
  const living = await provePeer(authority, peer, signed, rule);
  if (!living.ok) return living;
  const certificate = living.value;
  const role = authority.profiles.get(certificate.profile)?.role;
  // Both must have it: the certificate that was signed, and its profile as it is today (S-35).
  const kind = role !== undefined && role === signed?.role ? role : "certificate";
  const caller = { kind, ...originOf(request), certificate } satisfies Caller;
  if (callerRules[rule][kind]) return accepted(caller);
  // The audit should name the identity that was refused.
  request.caller = caller;
  return refused("forbidden", kind === role ? forbids(rule) : forbids(rule, role));
}

interface Peer {
  readonly der: Uint8Array;
  readonly sha256: string;
  readonly serial: string;
  /** What the certificate proves; undefined when no issuer of this authority signed it. */
  readonly signed: Promise<SignedCertificate | undefined>;
}

/**
 * The peer of a socket never changes: TLS 1.3 has no renegotiation and the listener switches it off
 * for 1.2. So its bytes are read, hashed and verified once a connection; its standing is asked every
 * time.
 */
const peers = new WeakMap<Socket, Peer>();

function peerOf(request: IncomingMessage, { issuers }: Authority): Peer | undefined {
  const { socket } = request;
  if (!(socket instanceof TLSSocket)) return undefined;
  const known = peers.get(socket);
  if (known !== undefined) return known;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || certificate.raw.length === 0) return undefined;
  const peer = {
    der: certificate.raw,
    sha256: createHash("sha256").update(certificate.raw).digest("hex"),
    serial: certificate.serialNumber.toLowerCase(),
    signed: proveSigned(certificate.raw, issuers),
  };
  peers.set(socket, peer);
  return peer;
}

/** The very certificate that was presented: signed here, and as its row has it now. */
async function provePeer(
  authority: Authority,
  peer: Peer,
  signed: SignedCertificate | undefined,
  rule: CallerRule,
): Promise<Outcome<StoredCertificate>> {
  const stored = await authority.findPeer(peer.serial, peer.sha256);
  if (
    signed === undefined ||
    stored === undefined ||
    stored.serial !== peer.serial ||
    stored.sha256 !== peer.sha256
  ) {
    return refused(
      "certificate-not-valid",
      `The client certificate ${peer.serial} was refused: it is not one that this authority issued.`,
    );
  }
  const row = judgeRow(stored, signed, authority.holdsSeal(stored));
  if (!row.ok) return row;
  const grace = rule === "renewal" ? graceOf(authority.profiles.get(stored.profile)) : 0;
  return judgeCertificate(stored, authority.now(), grace);
}

function wanted(rule: CallerRule): string {
  const certificate = "a client certificate of this authority on the TLS connection (curl --cert)";
  const token = "an enrolment token as `Authorization: Bearer TOKEN`";
  switch (rule) {
    case "token":
      return `This route needs ${token}, or an operator's certificate. Mint a token with \`countersign token\`.`;
    case "token-or-certificate":
      return `This route needs ${token}, or ${certificate}.`;
    case "operator":
      return "This route needs an operator's client certificate on the TLS connection (curl --cert).";
    default:
      return `This route needs ${certificate}.`;
  }
}

function forbids(rule: CallerRule, missed?: "operator"): string {
  if (missed !== undefined) {
    return "This route is for operators: the certificate's profile has the role, but the certificate does not carry it. Issue a new operator's certificate.";
  }
  return rule === "token"
    ? "A certificate entitles its holder to renew it (POST /v1/certificates/renew). This route needs an enrolment token, or an operator's certificate."
    : "This route is for operators: the certificate's profile does not have the role.";
}
