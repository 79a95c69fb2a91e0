/** What can go wrong for a client: what the authority refused, and what never reached it. */

import { catalogue, type RefusalCode, type Violation } from "../refusal.ts";

/** Failures that no authority answered with, each with its cure. */
export const clientFailures = {
  unreachable: "The authority did not answer. Check the URL, the network and its /healthz.",
  untrusted:
    "The server that answered is not the authority that is trusted here. Check the URL, and compare the root's fingerprint with the operator's.",
  "bad-answer": "The answer is not that of a Countersign authority. Check the URL.",
  "no-credential":
    "There is no token to enrol with. Give --token, --token-file or --token-env; `countersign token` mints one.",
  "bad-folder":
    "The folder does not hold a whole identity, or cannot be written. `countersign enroll` makes one.",
  "bad-input": "An option cannot be used as it is.",
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
    return this.code === "unreachable" || this.status === 429 || (this.status ?? 0) >= 500;
  }
}

/** An error as people read it: what happened, each violation, then what to do. */
export function describeProblem(error: unknown): string {
  if (!(error instanceof ClientError)) {
    return error instanceof Error ? error.message : String(error);
  }
  const lines = error.violations.map((one) => `  ${one.field} (${one.rule}): ${one.message}`);
  return [`${error.code}: ${error.message}`, ...lines, error.cure].join("\n");
}

/** Whatever stands between here and the authority may say more, and would end the renewals. */
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
