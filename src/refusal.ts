/**
 * What a "no" is, in every room of the house, and how a person reads it. It names no route and no
 * status: each protocol has its own table from these codes to what it says on the wire.
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

/** So many violations are told in full, so that a small request cannot make a large answer (S-39). */
export const MOST_VIOLATIONS = 20;
const LONGEST_TEXT = 400;

/**
 * The violations as they are told: the first twenty, with long texts cut, and one more that counts
 * the rest.
 */
export function boundViolations(violations: readonly Violation[]): readonly Violation[] {
  const told = violations.slice(0, MOST_VIOLATIONS).map((one) => ({
    field: cut(one.field),
    rule: one.rule,
    got: cut(one.got),
    want: cut(one.want),
    message: cut(one.message),
  }));
  const rest = violations.length - told.length;
  if (rest === 0) return told;
  return [
    ...told,
    {
      field: "request",
      rule: "violations.more",
      got: `${violations.length} broken rules`,
      want: `at most ${MOST_VIOLATIONS} told in full`,
      message: `${rest} more broken ${rest === 1 ? "rule is" : "rules are"} not listed. Mend these first, then check the request again.`,
    },
  ];
}

function cut(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

/** What `renderProblem` shows of a failure; every refusal has it, and every failure of the client. */
export interface ReadableProblem {
  readonly code: string;
  readonly detail: string;
  readonly violations?: readonly Violation[] | undefined;
  /** By which the operator finds the request in the log, when a service answered. */
  readonly requestId?: string | undefined;
  /** What to do next. */
  readonly cure: string;
}

/**
 * A failure as the command line and the client print it. It says what was wrong, lists each
 * violation on a line of its own, and ends with what to do next.
 */
export function renderProblem(problem: ReadableProblem): string {
  const { code, detail, violations = [], requestId, cure } = problem;
  return [
    `${code}: ${detail}${requestId === undefined ? "" : ` (request ${requestId})`}`,
    ...violations.map((one) => `  ${one.field} (${one.rule}): ${one.message}`),
    cure,
  ].join("\n");
}

/** `renderProblem` for a refusal, with the catalogue's word on what to do next. */
export function renderRefusal(refusal: Refusal): string {
  return renderProblem({ ...refusal, cure: catalogue[refusal.code].cure });
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
    cure: "Correct each field that is named, as the OpenAPI document describes it, and send it again.",
  },
  "request-timeout": {
    title: "The request came too slowly",
    cause: "The headers or the whole request did not arrive within the limits.",
    cure: "Send it again, at once and whole. Operators set limits.headersTimeout and limits.requestTimeout.",
  },
  "headers-too-large": {
    title: "The headers are too large",
    cause: "The first line and the headers of a request are at most 32 KiB in all.",
    cure: "Send fewer or shorter headers. A token of up to 16 KiB fits.",
  },
  "expectation-failed": {
    title: "Expectation failed",
    cause: "The Expect header asks for something other than 100-continue.",
    cure: "Leave the Expect header out.",
  },
  "method-not-implemented": {
    title: "Unknown method",
    cause: "The first word of the request is not a method of HTTP.",
    cure: "Use GET, HEAD or POST.",
  },
  "malformed-csr": {
    title: "Not a certificate request",
    cause: "The body is not one strictly DER-encoded PKCS#10 request (RFC 2986).",
    cure: "Send what `openssl req -new` writes, PEM or DER. The detail names the field and its offset.",
  },
  "private-key-posted": {
    title: "A private key was sent",
    cause: "The body holds a private key. It was not stored or logged, but it travelled.",
    cure: "Treat that key as compromised, make a new one, and send only the certificate request.",
  },
  "bad-proof-of-possession": {
    title: "The request's signature does not verify",
    cause: "The request was not signed by the private key that belongs to its public key.",
    cure: "Make the request again with the key that it is for. SHA-1 and MD5 signatures are refused.",
  },
  unauthenticated: {
    title: "No valid credential",
    cause: "A token or a client certificate is needed, and no valid one was presented.",
    cure: "Present an enrolment token as bearer, or a valid certificate of this authority.",
  },
  "invalid-token": {
    title: "The token is not valid",
    cause: "The bearer token is malformed, expired, for another audience or of an unknown key.",
    cure: "Ask an operator for a new token; `countersign token` mints one.",
  },
  "certificate-not-valid": {
    title: "The client certificate is not acceptable",
    cause:
      "The certificate is unknown here, expired, not yet valid, revoked, on hold, or not meant for client authentication.",
    cure: "Enrol again with a token. An operator can release a certificate that is on hold.",
  },
  forbidden: {
    title: "Not allowed",
    cause: "The credential is valid, but it does not entitle its holder to this.",
    cure: "Ask an operator, or use the credential that the action belongs to.",
  },
  "foreign-origin": {
    title: "Sent by a page of another origin",
    cause:
      "A browser sent a client certificate with a request of a page that this service did not serve.",
    cure: "Use the pages of this service. Programs send neither Origin nor Sec-Fetch-Site and pass.",
  },
  "not-found": {
    title: "Not found",
    cause: "There is nothing at this address, or no certificate has this serial.",
    cure: "Check the address and the serial. `countersign certs list` shows the serials.",
  },
  "method-not-allowed": {
    title: "Method not allowed",
    cause: "The address exists, but it does not take this method.",
    cure: "Use one of the methods that the Allow header lists.",
  },
  "not-acceptable": {
    title: "No acceptable representation",
    cause: "The Accept header asks for a media type that this route does not produce.",
    cure: "Ask for one of the media types that the detail lists.",
  },
  "token-used": {
    title: "The token has been used",
    cause: "A one-time token was presented again with another public key.",
    cure: "Ask an operator for a new token. With the same key the first certificate is returned again.",
  },
  "idempotency-conflict": {
    title: "Idempotency-Key used for another request",
    cause: "The same Idempotency-Key came earlier with a different request.",
    cure: "Use a new Idempotency-Key for a new request.",
  },
  conflict: {
    title: "In conflict with what is recorded",
    cause: "What was asked contradicts the state of the certificate or of the store.",
    cure: "Read the entry first with `countersign certs show`, then decide.",
  },
  "payload-too-large": {
    title: "The body is too large",
    cause: "A certificate request is at most 64 KiB.",
    cure: "Send only the certificate request.",
  },
  "unsupported-media-type": {
    title: "Unsupported media type",
    cause: "This Content-Type is not read here.",
    cure: "Send one of the media types that the detail lists.",
  },
  "unsupported-content-coding": {
    title: "Unsupported content coding",
    cause: "The body is compressed, which is not read here.",
    cure: "Send the body as it is, without Content-Encoding.",
  },
  "policy-violation": {
    title: "Refused by policy",
    cause: "The request breaks one or more rules of the authority's policy or profile.",
    cure: "Change what each violation names, all of them at once, and send the request again.",
  },
  "rate-limited": {
    title: "Too many requests",
    cause: "The limit for this identity or address is reached.",
    cure: "Wait as long as Retry-After says, then try again.",
  },
  "invalid-configuration": {
    title: "The configuration is wrong",
    cause:
      "A key of countersign.yaml, an environment variable or a flag is unknown or out of range.",
    cure: "Change each key that is named with its file and line. docs/reference/configuration.md lists the keys.",
  },
  "store-unavailable": {
    title: "The store is unavailable",
    cause: "The database cannot be written or reached. Nothing was issued.",
    cure: "Try again after Retry-After. The operator finds the reason in the log.",
  },
  "signer-unavailable": {
    title: "The issuing key is unavailable",
    cause: "The key store does not answer. Nothing was issued.",
    cure: "Try again after Retry-After. The operator finds the reason in the log.",
  },
  "internal-error": {
    title: "Internal error",
    cause: "Something happened that should not. Nothing was issued.",
    cure: "Report it with its requestId, by which the operator finds it in the log.",
  },
} as const satisfies Record<string, CatalogueEntry>;

/** The stable code of a refusal; on the wire `urn:countersign:error:<code>`. */
export type RefusalCode = keyof typeof catalogue;
