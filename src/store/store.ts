/**
 * What is kept, in the domain's words. Two engines keep these promises: SQLite and PostgreSQL.
 * "Durable" means: on disk (fsync) of the engine before the promise resolves. Every method throws
 * `StoreUnavailable` when the engine cannot answer. Nothing was written then, or it is unknown
 * whether it was. The caller must not hand out what it wanted to record.
 */

import type { CertificateFilters, certificateStatuses } from "./index/filters.ts";

/** A serial number: lower-case hex, even number of digits, no separators. */
export type SerialHex = string;

/** RFC 5280 5.3.1 names of revocation reasons; `certificateHold` can be released. */
export type RevocationReason =
  | "unspecified"
  | "keyCompromise"
  | "cACompromise"
  | "affiliationChanged"
  | "superseded"
  | "cessationOfOperation"
  | "certificateHold"
  | "privilegeWithdrawn"
  | "aACompromise";

export interface Revocation {
  readonly at: Date;
  readonly reason: RevocationReason;
  /** Who revoked: an identity as in the audit. */
  readonly by: string;
}

/** A row of the index. Display strings are for people; decisions use DER or typed values. */
export interface StoredCertificate {
  /** Append order within the store; the key of keyset pages. */
  readonly id: number;
  readonly issuerId: string;
  readonly serial: SerialHex;
  /** Hex SHA-256 of the certificate's DER; of an imported row without a file, undefined. */
  readonly sha256: string | undefined;
  readonly spkiSha256: string | undefined;
  readonly profile: string;
  /** RFC 4514 style, for people. */
  readonly subject: string;
  readonly subjectDer: Uint8Array;
  readonly commonName: string | undefined;
  /** Canonical, prefixed by kind: `dns:web.example.test`, `ip:10.0.0.1`. */
  readonly subjectAltNames: readonly string[];
  /** Dotted OIDs. */
  readonly extendedKeyUsage: readonly string[];
  readonly keyType: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly issuedAt: Date;
  readonly renewAfter: Date;
  readonly requestedBy: string;
  /** How it came to be: `token`, `operator`, `renewal`, `internal` or `import`. */
  readonly via: string;
  /** Serial of the first certificate of the lineage, and when that was issued. */
  readonly lineage: SerialHex;
  readonly lineageStartedAt: Date;
  readonly replaces: SerialHex | undefined;
  /** Proves the row, by a key that the store does not have; undefined proves nothing. */
  readonly seal?: string | undefined;
  readonly revocation: Revocation | undefined;
}

export type NewCertificate = Omit<StoredCertificate, "id" | "revocation">;

/** A credential that this issuance spends, checked and spent in the same transaction. */
export interface SpentCredential {
  /** `token`: an enrolment token's jti. `idempotency`: an Idempotency-Key in its caller's scope. */
  readonly kind: "token" | "idempotency";
  readonly id: string;
  /** How many different bindings may use it. */
  readonly uses: number;
  /** What a repetition must equal to get the same certificate: SPKI hash, or request hash. */
  readonly binding: string;
  readonly expiresAt: Date;
}

/**
 * The certificate on whose strength something is recorded. It must stand (be on record, not
 * revoked, not on hold) in the very transaction that records. The caller of the store judges time.
 */
export interface Standing {
  /** The row of the certificate that the peer proved to hold. */
  readonly certificateId: number;
  /** Whether it is being renewed, which a compromised ancestor bars. */
  readonly renews?: boolean;
}

export interface NewAuditEntry {
  readonly at: Date;
  readonly requestId: string;
  /** `issue`, `renew`, `revoke`, `hold`, `release`, `check`, `token`, `authenticate`, … */
  readonly action: string;
  readonly verdict: "accepted" | "refused" | "error";
  /** Identity of the caller, e.g. `certificate:0a1b… (CN=web)`, `token:<jti>`, `anonymous`. */
  readonly caller: string;
  readonly address: string | undefined;
  /** The certificate that was made or acted on. */
  readonly serial: SerialHex | undefined;
  readonly csrSha256: string | undefined;
  /** Refusal code when refused. */
  readonly code: string | undefined;
  /** Anything else worth reading later; JSON values only, never a secret. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface AuditEntry extends NewAuditEntry {
  readonly id: number;
}

export interface NewIssuance {
  readonly certificate: NewCertificate;
  /** Undefined only for imported rows whose certificate file is gone. */
  readonly der: Uint8Array | undefined;
  readonly audit: NewAuditEntry;
  readonly spends: readonly SpentCredential[];
  /** Undefined where no certificate of this authority gave the right to it. */
  readonly standing?: Standing;
  /** The certificate that this one replaces and revokes at once (`renew.revokeOld`). */
  readonly revokes?: {
    readonly issuerId: string;
    readonly serial: SerialHex;
    readonly revocation: Revocation;
  };
}

export type IssuanceResult =
  /** Written and durable. */
  | { readonly result: "recorded"; readonly certificate: StoredCertificate }
  /** A credential was spent before with the same binding: this is what it gave. Nothing written. */
  | { readonly result: "replayed"; readonly certificate: StoredCertificate }
  /** A credential was spent before with another binding and has no use left. Nothing written. */
  | { readonly result: "spent"; readonly credential: SpentCredential }
  /** The certificate of `standing` was revoked or put on hold meanwhile. Nothing written. */
  | { readonly result: "not-standing" }
  /** The renewal is barred by this ancestor, which was revoked for keyCompromise. Nothing written. */
  | { readonly result: "barred"; readonly by: SerialHex };

/** A change of revocation status. */
export interface RevocationChange {
  readonly at: Date;
  /** Undefined releases a hold. */
  readonly reason: RevocationReason | undefined;
  /** Who changes it: an identity as in the audit. */
  readonly by: string;
  /** Changes every living certificate that was renewed from this one, directly or not, as well. */
  readonly lineage?: boolean;
  /** Whether what was renewed from it may be renewed on; left out, that stays as it is. */
  readonly renewals?: "barred" | "allowed";
}

export type RevocationResult =
  | {
      readonly result: "revoked" | "released" | "unchanged";
      readonly certificate: StoredCertificate;
      /** What was changed along with it; each has a line in the audit. */
      readonly descendants: readonly SerialHex[];
    }
  /** E.g. releasing what is not on hold, or changing a final reason. */
  | { readonly result: "conflict"; readonly certificate: StoredCertificate }
  | { readonly result: "not-found" }
  /** The certificate of `standing` was revoked or put on hold meanwhile. Nothing written. */
  | { readonly result: "not-standing" };

/** One change of revocation status, in the order in which they were made. */
export interface RevocationEvent {
  readonly sequence: number;
  readonly issuerId: string;
  readonly serial: SerialHex;
  readonly notAfter: Date;
  readonly at: Date;
  /** `undefined`: released from hold. */
  readonly reason: RevocationReason | undefined;
}

/** A revocation list as it was published. */
export interface StoredCrl {
  readonly issuerId: string;
  /** Which of the issuer's lists: of all certificates, of a part of them, or what changed. */
  readonly scope: string;
  readonly number: number;
  /** The last change of the history that it takes account of. */
  readonly sequence: number;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly der: Uint8Array;
}

/** The same as it is found; without its bytes where an engine does not keep long ones. */
export interface FoundCrl extends Omit<StoredCrl, "der"> {
  readonly der: Uint8Array | undefined;
}

export type CertificateStatus = (typeof certificateStatuses)[number];

/** What is kept of it: `live` becomes `expired` some time after notAfter, when it is asked for. */
export type CertificateState = "live" | "expired" | "revoked" | "hold";

/** Filters of the index; all given ones must hold. */
export interface CertificateQuery extends CertificateFilters {
  readonly limit?: number;
  /** Opaque, from a previous page with the same filters and order. */
  readonly cursor?: string;
  /** The instant that `status` refers to. */
  readonly now: Date;
  /** The instant that relative times of the filters were read against; the cursor carries it on. */
  readonly relativeTo?: Date;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Cursor of the next page; undefined on the last. */
  readonly next: string | undefined;
}

export interface AuditQuery {
  readonly action?: string;
  readonly verdict?: string;
  readonly caller?: string;
  readonly serial?: string;
  readonly requestId?: string;
  readonly after?: Date;
  readonly before?: Date;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface Store {
  readonly engine: "sqlite" | "postgres";

  /** Certificate, names, spent credentials, audit line: one transaction, durable when it resolves. */
  recordIssuance(issuance: NewIssuance): Promise<IssuanceResult>;
  /** Durable when it resolves. */
  recordAudit(entry: NewAuditEntry): Promise<void>;
  /**
   * Sets, changes hold to a final reason, or (reason undefined) releases a hold. The lineage or the
   * bars of renewals that the change names follow in the same transaction. It is durable.
   */
  revoke(
    issuerId: string,
    serial: SerialHex,
    change: RevocationChange,
    audit: NewAuditEntry,
    standing?: Standing,
  ): Promise<RevocationResult>;

  /** What a credential with this binding gave earlier, or how often it was spent. */
  findSpent(
    kind: SpentCredential["kind"],
    id: string,
    binding: string,
  ): Promise<{ readonly certificate: StoredCertificate | undefined; readonly uses: number }>;

  findCertificate(issuerId: string, serial: SerialHex): Promise<StoredCertificate | undefined>;
  /** The compromised ancestor that bars the renewal of the certificate in this row, if there is one. */
  findRenewalBar(certificateId: number): Promise<SerialHex | undefined>;
  /**
   * A number that has changed when the revocation of a certificate with this serial may have changed
   * since it was asked for. Undefined where others write too: there one has to look each time.
   */
  statusRevision(serial: SerialHex): number | undefined;
  /**
   * The very certificate that a peer presented, by its serial and the hex SHA-256 of its DER. Every
   * request of a peer asks this.
   */
  findPresented(serial: SerialHex, sha256: string): Promise<StoredCertificate | undefined>;
  /** All that have this public key, newest first, at most `limit`. */
  findByKey(spkiSha256: string, limit: number): Promise<readonly StoredCertificate[]>;
  /** DER of the given rows; rows without a file are left out. */
  readDer(ids: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>>;

  searchCertificates(query: CertificateQuery): Promise<Page<StoredCertificate>>;
  /** Everything that matches, page by page with bounded memory; ignores limit and cursor. */
  streamCertificates(query: CertificateQuery): AsyncIterable<readonly StoredCertificate[]>;
  searchAudit(query: AuditQuery): Promise<Page<AuditEntry>>;

  /** Changes after `afterSequence` in order, at most `limit`. */
  revocationEvents(
    issuerId: string,
    afterSequence: number,
    limit: number,
  ): Promise<readonly RevocationEvent[]>;
  /** Draws the next number of a named sequence (`crl:<issuer>`); never the same twice, durable. */
  nextNumber(sequence: string, atLeast?: number): Promise<number>;

  /**
   * Makes a list the one in force, durable when it resolves. False, and nothing is changed, when
   * one of the same scope has a number as high or knows more of the history.
   */
  publishCrl(list: StoredCrl): Promise<boolean>;
  /** The list in force when its number is above `newerThan`; otherwise its bytes are not read. */
  readCrl(issuerId: string, scope: string, newerThan: number): Promise<FoundCrl | undefined>;
  /** The oldest published list of the scope that is still fresh: everyone has this one or a later. */
  findOldestFreshCrl(
    issuerId: string,
    scope: string,
    now: Date,
  ): Promise<Pick<StoredCrl, "number" | "sequence"> | undefined>;

  /** Small named facts (schema mark, restore mark, issuer on record). */
  getFact(key: string): Promise<string | undefined>;
  putFact(key: string, value: string): Promise<void>;
  /** The facts whose keys start with this, by key. */
  findFacts(prefix: string): Promise<ReadonlyMap<string, string>>;

  /**
   * What is inconsistent in the store itself, one sentence each; nothing when it is whole. Reads
   * everything.
   */
  inspect(): Promise<readonly string[]>;

  /** Throws StoreUnavailable when a write and a read would not succeed now. */
  probe(): Promise<void>;
  /** Waits for what is queued, then closes. */
  close(): Promise<void>;
}

/** The engine cannot answer. `cause` holds its own error for the log; the message is for people. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** A cursor that no page of this query gave. */
export class InvalidCursor extends Error {
  override readonly name = "InvalidCursor";
  constructor() {
    super(
      "The cursor does not belong to this query: repeat the filters and the order of the page that gave it.",
    );
  }
}
