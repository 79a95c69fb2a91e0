/** The routes of the contract that a client calls, each as one function. */

import type { ClientAnswer } from "./http.ts";
import { send } from "./http.ts";
import { ClientError, readProblem } from "./problem.ts";

/** An authority whose root is known. */
export interface KnownAuthority {
  /** Origin, e.g. `https://ca.example.test:8443`. */
  readonly url: string;
  /** PEM. */
  readonly root: string;
  readonly timeoutMs?: number;
  /** Ends every call that is under way. */
  readonly signal?: AbortSignal | undefined;
}

/** RFC 9773 4.2, as read. */
export interface RenewalInfo {
  readonly start: Date;
  readonly end: Date;
  /** When to ask again, in seconds. */
  readonly retryAfterSeconds: number;
}

interface ProfileRules {
  readonly name: string;
  readonly subject: readonly {
    readonly attribute: string;
    readonly rule: string;
    readonly value?: readonly string[];
  }[];
}

const CHAIN_TYPE = "application/pem-certificate-chain";
/** Used when the answer does not say. */
const ASK_AGAIN_SECONDS = 6 * 3600;

/** `POST /v1/certificates` with a token; gives the chain, leaf first. */
export async function requestCertificate(
  authority: KnownAuthority,
  request: {
    readonly token: string;
    readonly csr: string;
    readonly profile?: string | undefined;
    readonly validity?: string | undefined;
  },
): Promise<{ readonly chain: string; readonly replayed: boolean; readonly notices: string[] }> {
  const { profile, validity } = request;
  const answer = await send({
    ...target(authority, "/v1/certificates", { profile, validity }),
    method: "POST",
    headers: { ...csrHeaders, authorization: `Bearer ${request.token}` },
    body: request.csr,
  });
  return { ...readChain(answer), replayed: answer.status === 200 };
}

/** `POST /v1/certificates/renew` with the certificate that is held; a CSR brings a new key. */
export async function renewCertificate(
  authority: KnownAuthority,
  request: {
    readonly holder: { readonly certificate: string; readonly key: string };
    readonly csr?: string | undefined;
    readonly validity?: string | undefined;
    /** Repeated on a retry: the same certificate comes back instead of a second one. */
    readonly idempotencyKey: string;
  },
): Promise<{ readonly chain: string; readonly notices: string[] }> {
  const { holder, csr, validity, idempotencyKey } = request;
  const answer = await send({
    ...target(authority, "/v1/certificates/renew", { validity }),
    method: "POST",
    holder,
    headers: {
      ...(csr === undefined ? { accept: CHAIN_TYPE } : csrHeaders),
      "idempotency-key": idempotencyKey,
    },
    ...(csr !== undefined && { body: csr }),
  });
  return readChain(answer);
}

/** `GET /v1/renewal-info/{serial}`. */
export async function readRenewalInfo(
  authority: KnownAuthority,
  serial: string,
): Promise<RenewalInfo> {
  const answer = await send({
    ...target(authority, `/v1/renewal-info/${serial}`),
    method: "GET",
  });
  if (answer.status !== 200) throw readProblem(answer);
  const window = field(readJson(answer), "suggestedWindow");
  const [start, end] = [
    new Date(String(field(window, "start"))),
    new Date(String(field(window, "end"))),
  ];
  if (!(start < end)) throw new ClientError("bad-answer", "The renewal window has no extent.");
  const retryAfter = Number(answer.headers["retry-after"]);
  const retryAfterSeconds = retryAfter > 0 ? retryAfter : ASK_AGAIN_SECONDS;
  return { start, end, retryAfterSeconds };
}

/**
 * `GET /v1/policy`: the attributes whose value the authority prescribes, in its order, with `cn` at
 * the place of the commonName. Without a profile those of the first one.
 */
export async function readSubjectRules(
  authority: KnownAuthority,
  profile: string | undefined,
  cn: string | undefined,
): Promise<readonly { readonly type: string; readonly value: string }[]> {
  const answer = await send({ ...target(authority, "/v1/policy"), method: "GET" });
  if (answer.status !== 200) throw readProblem(answer);
  const profiles = field(readJson(answer), "profiles") as readonly ProfileRules[] | undefined;
  const rules = profiles?.find((one) => profile === undefined || one.name === profile);
  if (rules === undefined) {
    const offered = (profiles ?? []).map((one) => one.name).join(", ");
    throw new ClientError("bad-input", `There is no profile ${profile}; there are: ${offered}.`);
  }
  return rules.subject.flatMap(({ attribute, rule, value = [] }) => {
    if (attribute === "commonName" && cn !== undefined) return [{ type: attribute, value: cn }];
    return rule === "match" ? value.map((one) => ({ type: attribute, value: one })) : [];
  });
}

const csrHeaders = { "content-type": "application/pkcs10", accept: CHAIN_TYPE };

function target(
  { url, root, timeoutMs, signal }: KnownAuthority,
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
) {
  const address = new URL(path, url);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) address.searchParams.set(name, value);
  }
  return { url: address, root, signal, ...(timeoutMs !== undefined && { timeoutMs }) };
}

function readChain(answer: ClientAnswer): { chain: string; notices: string[] } {
  if (answer.status !== 200 && answer.status !== 201) throw readProblem(answer);
  return { chain: answer.text, notices: [...answer.linesOf("countersign-notice")] };
}

function readJson(answer: ClientAnswer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch (cause) {
    throw new ClientError("bad-answer", "The answer is not JSON.", { cause });
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
