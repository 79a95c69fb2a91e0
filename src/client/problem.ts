/** What can go wrong for a client: what the authority refused, and what never reached it. */

import { catalogue, type RefusalCode, renderProblem, type Violation } from "../refusal.ts";

/** Failures that no authority answered with, each with its cure. */
export const clientFailures = {
  unreachable: "Check the URL, the network, and whether the authority's /healthz answers.",
  untrusted:
    "Check the URL, and compare the root's fingerprint with the one that the operator has.",
  "bad-answer": "Check the URL: this is not how a Countersign authority answers.",
  "no-credential":
    "Give a token with --token, --token-file or --token-env; `countersign token` mints one.",
  "bad-folder":
    "Make the folder writable, or make a whole identity in it with `countersign enroll`.",
  "bad-input": "Give another value; `countersign help enroll` describes each option.",
} as const;
export type ClientFailureCode = keyof typeof clientFailures;

interface Details {
  readonly status?: number;
  readonly retryAfterSeconds?: number;
  readonly violations?: readonly Violation[];
  readonly requestId?: string;
  readonly cause?: unknown;
}

/** The one error of the client: `code` is stable, the message is for people. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientFailureCode | RefusalCode;
  /** HTTP status, when the authority answered. */
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** Every rule that was broken, of a refusal by policy. */
  readonly violations: readonly Violation[];
  /** What the operator finds in the log. */
  readonly requestId: string | undefined;

  constructor(code: ClientFailureCode | RefusalCode, message: string, details: Details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.violations = details.violations ?? [];
    this.requestId = details.requestId;
  }

  /** What to do next, in a sentence or two. */
  get cure(): string {
    const { code } = this;
    return code in catalogue
      ? catalogue[code as RefusalCode].cure
      : clientFailures[code as ClientFailureCode];
  }

  /** Whether the same call may succeed later without anybody doing anything. */
  get passing(): boolean {
    const { code, status = 0 } = this;
    return code === "unreachable" || status === 408 || status === 429 || status >= 500;
  }
}

/** An error as people read it: what happened, each violation, then what to do. */
export function describeProblem(error: unknown): string {
  if (!(error instanceof ClientError)) {
    return error instanceof Error ? error.message : String(error);
  }
  const { code, message: detail, violations, requestId, cure } = error;
  return renderProblem({ code, detail, violations, requestId, cure });
}

/** A proxy on the way may say more, which would end the renewals. */
const LONGEST_RETRY_SECONDS = 86_400;

const PREFIX = "urn:countersign:error:";

/** Rebuilds the refusal from an answer of 4xx or 5xx (RFC 9457); other bodies become `bad-answer`. */
export function readProblem(answer: {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}): ClientError {
  const { status } = answer;
  const retryAfter = Number(answer.headers["retry-after"]);
  const retry = retryAfter >= 0 ? Math.min(retryAfter, LONGEST_RETRY_SECONDS) : undefined;
  const body = parseObject(answer.text);
  const type = typeof body["type"] === "string" ? body["type"] : "";
  const code = type.startsWith(PREFIX) ? type.slice(PREFIX.length) : "";
  const details = {
    status,
    ...(retry !== undefined && { retryAfterSeconds: retry }),
    ...(typeof body["requestId"] === "string" && { requestId: body["requestId"] }),
  };
  if (!(code in catalogue)) {
    return new ClientError(
      "bad-answer",
      `It answered ${status} without a problem document.`,
      details,
    );
  }
  const detail = typeof body["detail"] === "string" ? body["detail"] : `HTTP ${status}`;
  const violations = Array.isArray(body["violations"])
    ? body["violations"].filter(isViolation)
    : [];
  return new ClientError(code as RefusalCode, detail, { ...details, violations });
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function isViolation(value: unknown): value is Violation {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Record<string, unknown>;
  return ["field", "rule", "got", "want", "message"].every(
    (name) => typeof fields[name] === "string",
  );
}
