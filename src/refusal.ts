/**
 * What a "no" is, in every room of the house. Knows no HTTP: each protocol has its own table from
 * these codes to what it says on the wire.
 */

/** One rule that was broken: which field, which rule, what the request had and what was wanted. */
export interface Violation {
  /** Where: a path such as `subject.stateOrProvinceName` or `subjectAltName[2]`. */
  readonly field: string;
  /** Which rule, as a stable identifier such as `subject.match`. */
  readonly rule: string;
  readonly got: string;
  readonly want: string;
  /** One sentence for a person, including what to do next where that is not obvious. */
  readonly message: string;
}

/** A foreseeable refusal, returned and never thrown by the rooms below the servers. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
  readonly violations?: readonly Violation[];
  readonly retryAfterSeconds?: number;
}

/** The result of anything that can be refused. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: Refusal };

/** Wraps a value as a success. */
export function accepted<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** Makes a refusal; `more` carries violations and the like. */
export function refused(
  code: RefusalCode,
  detail: string,
  more: Omit<Refusal, "code" | "detail"> = {},
): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { code, detail, ...more } };
}

interface CatalogueEntry {
  readonly title: string;
  readonly cause: string;
  readonly cure: string;
}

/** Every code once: the source of `docs/reference/errors.md` and of each protocol's table. */
export const catalogue = {
  "malformed-request": {
    title: "The request cannot be read",
    cause: "The HTTP request, its JSON or one of its parameters is not of the documented form.",
    cure: "Compare the request with the OpenAPI document; `violations` names each field.",
  },
  "malformed-csr": {
    title: "Not a certificate request",
    cause: "The body is not one strictly DER-encoded PKCS#10 request (RFC 2986).",
    cure: "Send what `openssl req -new` writes, PEM or DER; the detail names the field and offset.",
  },
  "private-key-posted": {
    title: "A private key was sent",
    cause: "The body holds a private key. It was not stored or logged, but it travelled.",
    cure: "Treat that key as compromised, make a new one, and send only the certificate request.",
  },
  "bad-proof-of-possession": {
    title: "The request's signature does not verify",
    cause: "The request was not signed by the private key that belongs to its public key.",
    cure: "Make the request again with the key it is for; SHA-1 and MD5 signatures are refused.",
  },
  unauthenticated: {
    title: "No valid credential",
    cause: "The route needs a token or a client certificate, and none that is valid was presented.",
    cure: "Present an enrolment token as bearer, or a living certificate of this authority.",
  },
  "invalid-token": {
    title: "The token is not valid",
    cause: "The bearer token is malformed, expired, for another audience or of an unknown key.",
    cure: "Mint a new one with `countersign token` or POST /v1/tokens.",
  },
  "certificate-not-valid": {
    title: "The client certificate is not acceptable",
    cause:
      "The certificate presented is not a living certificate of this authority: unknown, expired, not yet valid, revoked, on hold, or not meant for client authentication.",
    cure: "Enrol again with a token; a certificate on hold can be released by an operator.",
  },
  forbidden: {
    title: "Not allowed",
    cause: "The credential is right, but it does not entitle to this.",
    cure: "Ask an operator, or use the credential that the action belongs to.",
  },
  "foreign-origin": {
    title: "Sent by a page of another origin",
    cause:
      "A browser sent a client certificate along with a request of a page that is not this service's.",
    cure: "Use the pages of this service. Programs send neither Origin nor Sec-Fetch-Site and pass.",
  },
  "not-found": {
    title: "Not found",
    cause: "There is nothing at this address, or no certificate with this serial.",
    cure: "Look at GET /openapi.json for the routes, GET /v1/certificates for the serials.",
  },
  "method-not-allowed": {
    title: "Method not allowed",
    cause: "The address exists, the method does not.",
    cure: "The Allow header lists the methods.",
  },
  "not-acceptable": {
    title: "No acceptable representation",
    cause: "The Accept header asks for a media type that this route does not produce.",
    cure: "The detail lists the media types on offer.",
  },
  "token-used": {
    title: "The token has been used",
    cause: "A one-time token was presented again with another public key.",
    cure: "Mint a new token. With the same key the first certificate is returned again.",
  },
  "idempotency-conflict": {
    title: "Idempotency-Key used for another request",
    cause: "The same Idempotency-Key came earlier with a different request.",
    cure: "Use a new key for a new request.",
  },
  conflict: {
    title: "In conflict with what is recorded",
    cause: "What was asked contradicts the state of the certificate or of the store.",
    cure: "Read the entry first (GET /v1/certificates/{serial}), then decide.",
  },
  "payload-too-large": {
    title: "The body is too large",
    cause: "A certificate request is at most 64 KiB.",
    cure: "Send only the certificate request.",
  },
  "unsupported-media-type": {
    title: "Unsupported media type",
    cause: "The Content-Type is none that this route reads.",
    cure: "The detail lists the media types that are read.",
  },
  "policy-violation": {
    title: "Refused by policy",
    cause: "The request breaks one or more rules of the authority's policy or profile.",
    cure: "`violations` lists every rule at once; POST /v1/certificates/check tries without signing.",
  },
  "rate-limited": {
    title: "Too many requests",
    cause: "The limit for this identity or address is reached.",
    cure: "Wait as long as Retry-After says.",
  },
  "invalid-configuration": {
    title: "The configuration is wrong",
    cause:
      "A key of countersign.yaml, an environment variable or a flag is unknown or out of range.",
    cure: "`violations` names file, line and key of each problem; docs/reference/configuration.md lists the keys.",
  },
  "store-unavailable": {
    title: "The store is unavailable",
    cause: "The database cannot be written or reached. Nothing was issued.",
    cure: "Try again after Retry-After; the operator finds the reason in the log and /readyz.",
  },
  "signer-unavailable": {
    title: "The issuing key is unavailable",
    cause: "The key store does not answer. Nothing was issued.",
    cure: "Try again after Retry-After; the operator finds the reason in the log and /readyz.",
  },
  "internal-error": {
    title: "Internal error",
    cause: "Something happened that should not. Nothing was issued.",
    cure: "Report it with the requestId; the operator finds it in the log.",
  },
} as const satisfies Record<string, CatalogueEntry>;

/** The stable code of a refusal; on the wire `urn:countersign:error:<code>`. */
export type RefusalCode = keyof typeof catalogue;
