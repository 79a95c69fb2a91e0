/** The object that front ends hold. It decides who gets what; what is signed, `issue.ts` signs. */

import type { Grant } from "../policy/grant.ts";
import type { Profile } from "../policy/profile.ts";
import { accepted, type Outcome, type Refusal, refused } from "../refusal.ts";
import type {
  AuditEntry,
  AuditQuery,
  CertificateQuery,
  Page,
  StoredCertificate,
} from "../store/store.ts";
import { type VerifiedRequest, verifyRequest } from "../x509/csr/read.ts";
import { auditLine, type Decision } from "./audit.ts";
import { type Caller, type CertificateCaller, type InternalCaller, identityOf } from "./caller.ts";
import { type CheckResult, checkRequest } from "./check.ts";
import { type Issued, type Issuing, issue, type RequestedValidity } from "./issue.ts";
import type { Issuer, Issuers } from "./issuers.ts";
import { holdsSeal } from "./proof/seal.ts";
import { prepareRenewal } from "./renewal/renew.ts";
import { type RenewalWindow, renewalWindow } from "./renewal/window.ts";
import { type RevocationOutcome, type RevocationRequest, revoke } from "./revoke.ts";
import { KeyProbe } from "./signer/key-probe.ts";
import { idempotencySpend, termsOf, tokenSpend } from "./spends.ts";
import { barredRenewal } from "./standing.ts";
import type { EnrolmentToken, MintedToken, TokenRequest } from "./token/own.ts";
import { subjectClaim } from "./token/subject-claim.ts";

/** Mints own tokens and verifies own and trusted foreign ones. */
export interface TokenDesk {
  mint(request: TokenRequest, profile: Profile, now: Date): Promise<Outcome<MintedToken>>;
  verify(jwt: string, now: Date): Promise<Outcome<EnrolmentToken>>;
}

/** What a reload of the configuration replaces, all at once. */
export type AuthorityRules = Pick<
  AuthorityParts,
  "profiles" | "blockedKeys" | "tokens" | "templates"
>;

export interface AuthorityParts extends Issuing {
  readonly name: string;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly tokens: TokenDesk;
  readonly clock: () => Date;
}

/** A request for a certificate as a front end received it. */
export interface CertificateRequest {
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  readonly profile: string | undefined;
  readonly validity: RequestedValidity;
  readonly idempotencyKey: string | undefined;
}

export interface RenewalRequest {
  /** PKCS#10, DER; undefined renews the held key. */
  readonly csr: Uint8Array | undefined;
  readonly validity: RequestedValidity;
  readonly idempotencyKey: string | undefined;
}

export class Authority {
  #parts: AuthorityParts;
  readonly #keyProbe: KeyProbe;

  constructor(parts: AuthorityParts) {
    this.#parts = parts;
    this.#keyProbe = new KeyProbe(parts.keys, parts.clock);
  }

  get name(): string {
    return this.#parts.name;
  }
  get issuers(): Issuers {
    return this.#parts.keys.issuers;
  }
  get profiles(): ReadonlyMap<string, Profile> {
    return this.#parts.profiles;
  }
  /** The time that every decision of this authority uses. */
  now(): Date {
    return this.#parts.clock();
  }

  /** Takes reloaded rules; decisions already under way finish with the old ones. */
  replaceRules(rules: AuthorityRules): void {
    this.#parts = { ...this.#parts, ...rules };
  }

  /** Issues a certificate for a CSR on the strength of a token, an operator or the service itself. */
  async issue(request: CertificateRequest, caller: Caller): Promise<Outcome<Issued>> {
    const now = this.now();
    const verified = verifyRequest(request.csr);
    if (!verified.ok) return this.#refuse("issue", caller, now, verified.refusal);
    const granted = this.#grantOf(caller, request.profile);
    if (!granted.ok) return this.#refuse("issue", caller, now, granted.refusal, verified.value);
    const { grant, profile } = granted.value;
    const outcome = await issue(this.#parts, {
      action: "issue",
      issuer: this.issuers.active,
      request: verified.value,
      grant,
      profile,
      validity: request.validity,
      caller,
      now,
      spends: [
        ...tokenSpend(caller, verified.value),
        ...idempotencySpend(request.idempotencyKey, caller, now, [
          verified.value.sha256,
          profile.name,
          request.validity,
        ]),
      ],
    });
    if (!outcome.ok) return this.#refuse("issue", caller, now, outcome.refusal, verified.value);
    return outcome;
  }

  /**
   * Issues a certificate for the service itself or for its first operator. The profile is the
   * service's own and need not be on offer; no route leads here. An issuer that issues nothing else
   * any more still signs the certificate of its OCSP responder.
   */
  async issueOwn(
    csr: Uint8Array,
    profile: Profile,
    caller: InternalCaller,
    issuer: Issuer = this.issuers.active,
  ): Promise<Outcome<Issued>> {
    const now = this.now();
    const verified = verifyRequest(csr);
    if (!verified.ok) return verified;
    const outcome = await issue(this.#parts, {
      action: "issue",
      issuer,
      request: verified.value,
      grant: {
        via: "internal",
        requestedBy: identityOf(caller),
        profile: profile.name,
        commonName: undefined,
        names: undefined,
      },
      profile,
      validity: {},
      caller,
      now,
      spends: [],
    });
    if (!outcome.ok) return this.#refuse("issue", caller, now, outcome.refusal, verified.value);
    return outcome;
  }

  /** What `issue` (or, for a holder, `renew`) would answer; signs and stores no certificate. */
  async check(
    request: CertificateRequest,
    caller: Caller,
    held?: Uint8Array,
  ): Promise<Outcome<CheckResult>> {
    const now = this.now();
    const verified = verifyRequest(request.csr);
    if (!verified.ok) return this.#refuse("check", caller, now, verified.refusal);
    const granted =
      caller.kind === "certificate" && held !== undefined
        ? this.#renewalOf(caller, held, request.csr, now)
        : this.#grantOf(caller, request.profile);
    if (!granted.ok) return this.#refuse("check", caller, now, granted.refusal, verified.value);
    const bar = caller.kind === "certificate" ? await this.#renewalBar(caller) : undefined;
    if (bar) return this.#refuse("check", caller, now, bar, verified.value);
    const result = await checkRequest(this.#parts, {
      issuer: this.issuers.active,
      request: verified.value,
      grant: granted.value.grant,
      profile: granted.value.profile,
      validity: request.validity,
      now,
    });
    await this.record(caller, {
      action: "check",
      verdict: result.verdict,
      csrSha256: verified.value.sha256,
      detail: {
        profile: granted.value.profile.name,
        rules: result.violations.map((one) => one.rule),
      },
    });
    return accepted(result);
  }

  /** A new certificate for the identity that the caller holds; `held` is the peer's DER. */
  async renew(
    request: RenewalRequest,
    caller: CertificateCaller,
    held: Uint8Array,
  ): Promise<Outcome<Issued>> {
    const now = this.now();
    const renewal = this.#renewalOf(caller, held, request.csr, now);
    if (!renewal.ok) return this.#refuse("renew", caller, now, renewal.refusal);
    const old = caller.certificate;
    const { profile } = renewal.value;
    const outcome = await issue(this.#parts, {
      action: "renew",
      issuer: this.issuers.active,
      ...renewal.value,
      validity: request.validity,
      caller,
      now,
      spends: idempotencySpend(request.idempotencyKey, caller, now, [
        request.csr === undefined ? old.spkiSha256 : renewal.value.request.sha256,
        request.validity,
      ]),
      lineage: { first: old.lineage, startedAt: old.lineageStartedAt, replaces: old.serial },
      ...(profile.renew.revokeOld && {
        revokes: {
          issuerId: old.issuerId,
          serial: old.serial,
          revocation: { at: now, reason: "superseded", by: identityOf(caller) },
        },
      }),
    });
    if (!outcome.ok) {
      return this.#refuse("renew", caller, now, outcome.refusal, renewal.value.request);
    }
    return outcome;
  }

  /** Revokes, holds or releases by serial; the rules of who may are in `revoke.ts`. */
  async revoke(
    serial: string,
    request: RevocationRequest,
    caller: CertificateCaller,
  ): Promise<Outcome<RevocationOutcome>> {
    const now = this.now();
    const target = await this.find(serial);
    const outcome = target.ok
      ? await revoke(this.#parts.store, caller, target.value, request, now)
      : target;
    if (outcome.ok) return outcome;
    return this.#refuse("revoke", caller, now, outcome.refusal, undefined, serial);
  }

  /** The entry with this serial, whichever issuer of this authority made it. */
  async find(serial: string): Promise<Outcome<StoredCertificate>> {
    const { store } = this.#parts;
    for (const { id } of this.issuers.all) {
      const certificate = await store.findCertificate(id, serial);
      if (certificate !== undefined) return accepted(certificate);
    }
    // Those of an issuer that is no longer here are asked for by serial alone as well.
    const found = await store.searchCertificates({ serial, limit: 2, now: this.now() });
    const certificate = found.items.find((one) => one.serial === serial);
    return certificate === undefined
      ? refused("not-found", `There is no certificate with serial ${serial}.`)
      : accepted(certificate);
  }

  /** DER of entries by their row id; imported rows without a file are absent. */
  readDer(ids: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#parts.store.readDer(ids);
  }
  search(query: CertificateQuery): Promise<Page<StoredCertificate>> {
    return this.#parts.store.searchCertificates(query);
  }
  stream(query: CertificateQuery): AsyncIterable<readonly StoredCertificate[]> {
    return this.#parts.store.streamCertificates(query);
  }
  searchAudit(query: AuditQuery): Promise<Page<AuditEntry>> {
    return this.#parts.store.searchAudit(query);
  }
  /** The stored certificate with this serial and fingerprint, as it stands now. */
  findPeer(serial: string, sha256: string): Promise<StoredCertificate | undefined> {
    return this.#parts.store.findPresented(serial, sha256);
  }

  /** Whether a row of the index is as this authority wrote it (`proof/seal.ts`). */
  holdsSeal(row: StoredCertificate): boolean {
    return holdsSeal(this.#parts.keys, row);
  }

  /** When the certificate should be renewed (RFC 9773). */
  async renewalWindow(serial: string): Promise<Outcome<RenewalWindow>> {
    const certificate = await this.find(serial);
    return certificate.ok ? accepted(renewalWindow(certificate.value, this.now())) : certificate;
  }

  /** Mints an enrolment token for an operator. */
  async mintToken(request: TokenRequest, caller: Caller): Promise<Outcome<MintedToken>> {
    const now = this.now();
    const profile = this.#profile(request.profile);
    const minted = profile.ok
      ? await this.#parts.tokens.mint(request, profile.value, now)
      : profile;
    if (!minted.ok) return this.#refuse("token", caller, now, minted.refusal);
    await this.record(caller, {
      action: "token",
      verdict: "accepted",
      detail: {
        token: minted.value.id,
        profile: request.profile,
        commonName: request.commonName ?? null,
        uses: request.uses ?? 1,
        ...(request.subject?.length && { subject: subjectClaim(request.subject) }),
      },
    });
    return minted;
  }
  verifyToken(jwt: string): Promise<Outcome<EnrolmentToken>> {
    return this.#parts.tokens.verify(jwt, this.now());
  }

  /** Writes an audit line, durable when it resolves. */
  record(caller: Caller, decision: Decision): Promise<void> {
    return this.#parts.store.recordAudit(auditLine(caller, this.now(), decision));
  }
  /**
   * Whether the active issuer's key signs. It does so at most once in ten seconds, for all who ask.
   * Throws SignerUnavailable, or an Error in one sentence.
   */
  probeIssuingKey(): Promise<void> {
    return this.#keyProbe.run(this.issuers.active);
  }
  /** Throws StoreUnavailable when the store cannot be written and read now. */
  probeStore(): Promise<void> {
    return this.#parts.store.probe();
  }

  async #refuse(
    action: string,
    caller: Caller,
    at: Date,
    refusal: Refusal,
    request?: VerifiedRequest,
    serial?: string,
  ): Promise<{ ok: false; refusal: Refusal }> {
    await this.#parts.store.recordAudit(
      auditLine(caller, at, {
        action,
        verdict: "refused",
        serial,
        csrSha256: request?.sha256,
        code: refusal.code,
        detail: refusal.violations
          ? { violations: refusal.violations.map(({ field, rule, got }) => ({ field, rule, got })) }
          : {},
      }),
    );
    return { ok: false, refusal };
  }

  #profile(name: string): Outcome<Profile> {
    const profile = this.#parts.profiles.get(name);
    if (profile !== undefined) return accepted(profile);
    const known = [...this.#parts.profiles.keys()].join(", ");
    const message = `There is no profile ${name}; there are: ${known}.`;
    return refused("policy-violation", message, {
      violations: [{ field: "profile", rule: "profile.known", got: name, want: known, message }],
    });
  }

  #grantOf(
    caller: Caller,
    wanted: string | undefined,
  ): Outcome<{ readonly grant: Grant; readonly profile: Profile }> {
    const terms = termsOf(caller, wanted);
    if (!terms.ok) return terms;
    const profile = this.#profile(terms.value.profile);
    if (!profile.ok) return profile;
    return accepted({
      grant: { ...terms.value, requestedBy: identityOf(caller) },
      profile: profile.value,
    });
  }

  /** Why no descendant of a compromised certificate is renewed, asked before `issue` would say it. */
  async #renewalBar({ certificate }: CertificateCaller): Promise<Refusal | undefined> {
    const ancestor = await this.#parts.store.findRenewalBar(certificate.id);
    const barred = ancestor === undefined ? undefined : barredRenewal(ancestor);
    return barred?.ok === false ? barred.refusal : undefined;
  }

  #renewalOf(
    caller: CertificateCaller,
    held: Uint8Array,
    csr: Uint8Array | undefined,
    now: Date,
  ): Outcome<{
    readonly request: VerifiedRequest;
    readonly grant: Grant;
    readonly profile: Profile;
  }> {
    const profile = this.#profile(caller.certificate.profile);
    if (!profile.ok) return profile;
    const renewal = prepareRenewal(caller, held, profile.value, csr, now);
    return renewal.ok ? accepted({ ...renewal.value, profile: profile.value }) : renewal;
  }
}
