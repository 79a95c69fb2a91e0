import { STATUS_CODES } from "node:http";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { SignerUnavailable } from "../authority/signer/signer.ts";
import { boundViolations, catalogue, type Refusal, type RefusalCode } from "../refusal.ts";
import { StoreUnavailable } from "../store/store.ts";

/** The one table from what was refused to what HTTP calls it. A new code without a row is a type error. */
export const statusOf = {
  "malformed-request": 400,
  "malformed-csr": 400,
  "private-key-posted": 400,
  "bad-proof-of-possession": 400,
  unauthenticated: 401,
  "invalid-token": 401,
  "certificate-not-valid": 401,
  forbidden: 403,
  "foreign-origin": 403,
  "not-found": 404,
  "method-not-allowed": 405,
  "not-acceptable": 406,
  "token-used": 409,
  "idempotency-conflict": 409,
  conflict: 409,
  "request-timeout": 408,
  "payload-too-large": 413,
  "unsupported-media-type": 415,
  "unsupported-content-coding": 415,
  "expectation-failed": 417,
  "policy-violation": 422,
  "rate-limited": 429,
  "headers-too-large": 431,
  "internal-error": 500,
  "invalid-configuration": 500,
  "method-not-implemented": 501,
  "store-unavailable": 503,
  "signer-unavailable": 503,
} as const satisfies Record<RefusalCode, number>;

/** The only error class that handlers throw: a refusal on its way to the wire. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.detail);
    this.refusal = refusal;
  }
}

/** An RFC 9457 problem document. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly requestId: string;
  /** What to do next. */
  readonly cure: string;
  readonly violations?: Refusal["violations"];
}

type RouteHints = Partial<Readonly<Record<RefusalCode, string>>>;

/** Which route helps next: only here do texts name routes, as only here they exist. */
const restRouteHints: RouteHints = {
  "invalid-token": "Operators also mint one with POST /v1/tokens.",
  "not-found": "GET /openapi.json lists the routes, GET /v1/certificates the serials.",
  conflict: "GET /v1/certificates/{serial} has the entry, too.",
  "policy-violation": "POST /v1/certificates/check tries a request without signing.",
  "store-unavailable": "GET /readyz says which part is not ready.",
  "signer-unavailable": "GET /readyz says which part is not ready.",
};

/** What to do next: the catalogue's word, then the route that helps, where the listener has it. */
export function cureOf(code: RefusalCode, routes: RouteHints = restRouteHints): string {
  return [catalogue[code].cure, routes[code]].filter((part) => part !== undefined).join(" ");
}

/** The document for a refusal; `instance` is the path that was asked for, without its query. */
export function problemDocument(
  refusal: Refusal,
  instance: string,
  requestId: string,
  routes: RouteHints = restRouteHints,
): ProblemDocument {
  return {
    type: `urn:countersign:error:${refusal.code}`,
    title: catalogue[refusal.code].title,
    status: statusOf[refusal.code],
    detail: refusal.detail,
    instance,
    requestId,
    cure: cureOf(refusal.code, routes),
    ...(refusal.violations && { violations: refusal.violations }),
  };
}

/** How long to wait, in seconds, before a 503 is worth trying again. */
const RETRY_UNAVAILABLE_SECONDS = 2;

/** A refusal as HTTP, on whichever way it leaves. */
export interface ProblemAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Indented, since the reader is often a person with curl. */
  readonly body: string;
}

/** The answer for a refusal; `url` as it was asked for. */
export function problemAnswer(
  refusal: Refusal,
  url: string,
  requestId: string,
  routes: RouteHints = restRouteHints,
): ProblemAnswer {
  const status = statusOf[refusal.code];
  const path = url.split("?", 1)[0] ?? "/";
  const retryAfter =
    refusal.retryAfterSeconds ?? (status === 503 ? RETRY_UNAVAILABLE_SECONDS : undefined);
  return {
    status,
    headers: {
      "content-type": "application/problem+json",
      ...(status === 401 && { "www-authenticate": 'Bearer realm="countersign"' }),
      // RFC 9110 15.5.16: which codings would have been read.
      ...(refusal.code === "unsupported-content-coding" && { "accept-encoding": "identity" }),
      ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
    },
    body: `${JSON.stringify(problemDocument(refusal, path, requestId, routes), null, 2)}\n`,
  };
}

/** Answers a request with a refusal. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
  routes: RouteHints = restRouteHints,
) {
  const { status, headers, body } = problemAnswer(refusal, request.url, request.id, routes);
  return reply
    .code(status)
    .headers(headers)
    .serializer(() => body)
    .send(body);
}

/** Every error of a scope leaves as a problem document, the framework's own included (RFC 9457). */
export function answerWithProblems(scope: FastifyInstance, routes?: RouteHints): void {
  scope.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error);
    logFailure(request.log, error, refusal, request.id);
    return sendProblem(request, reply, refusal, routes);
  });
}

/** What is not the caller's doing is logged; the answer has only the request id. */
export function logFailure(
  log: { error: (fields: object, text: string) => void },
  error: unknown,
  refusal: Refusal,
  requestId: string,
): void {
  if (refusal.code !== "internal-error" && !refusal.code.endsWith("-unavailable")) return;
  log.error({ err: error, requestId }, "request failed");
}

/**
 * The refusal for anything thrown while a request was served. A Problem stays as it is, and the
 * framework's own errors go by their kind. Everything unknown becomes 500 without its text, which
 * the log has.
 */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Problem) return error.refusal;
  if (error instanceof StoreUnavailable) {
    return {
      code: "store-unavailable",
      detail: "The store is unavailable. Nothing was issued or changed.",
    };
  }
  if (error instanceof SignerUnavailable) {
    return {
      code: "signer-unavailable",
      detail: "The issuing key is unavailable. Nothing was issued.",
    };
  }
  return (
    frameworkRefusal(error as FastifyError) ?? {
      code: "internal-error",
      detail:
        "Something went wrong inside the authority. Nothing was issued; the log has the reason under this requestId.",
    }
  );
}

function frameworkRefusal(error: FastifyError): Refusal | undefined {
  if (error.validation !== undefined) {
    return {
      code: "malformed-request",
      detail: `The request is not of the documented form: ${error.message.slice(0, 1000)}.`,
      violations: boundViolations(
        error.validation.map((one) => ({
          field: [error.validationContext, ...one.instancePath.split("/").slice(1)].join("."),
          rule: `schema.${one.keyword}`,
          got: "a value that does not fit",
          want: JSON.stringify(one.params),
          message: `${error.validationContext}${one.instancePath} ${one.message ?? "does not fit"}.`,
        })),
      ),
    };
  }
  switch (error.statusCode) {
    case 413:
      return {
        code: "payload-too-large",
        detail: "The body is larger than this route takes (64 KiB).",
      };
    case 415:
      return {
        code: "unsupported-media-type",
        detail:
          "This Content-Type is not read here. A certificate request comes as application/pkcs10, application/x-pem-file, text/plain, application/octet-stream, or in JSON as application/json.",
      };
    case 429:
      return { code: "rate-limited", detail: error.message };
    default:
      break;
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    const phrase = STATUS_CODES[error.statusCode] ?? "Bad Request";
    return { code: "malformed-request", detail: `${phrase}: ${error.message}.` };
  }
  return undefined;
}
