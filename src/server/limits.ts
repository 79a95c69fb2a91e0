/**
 * Limits are on by default (S-28). They count per address before the caller is known, then per
 * identity. Renewals have a share that new enrolments cannot use up.
 */

import { Readable } from "node:stream";
import rateLimit, { normalizeIP, type RateLimitPluginOptions } from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { identityOf } from "../authority/caller.ts";
import type { CompiledConfig, RateLimit } from "../config/compile.ts";
import { Problem } from "./problem.ts";

/** The shares of the issuing engine that routes draw on. */
export type Share = "enrolment" | "renewal";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The share of the engine that a request of this route uses. */
    share?: Share;
  }
}

/** Throws a Problem for an address that is over its limit; counts it otherwise. */
export type LimitAddress = (address: string) => Promise<void>;

/**
 * Counts requests; above a limit the answer is 429 with Retry-After. `limits` is asked each time, as
 * a reload changes them; without any, nothing is counted. Gives the limit of addresses for what is answered before the framework, from the same counters.
 */
export async function limitRequests(
  app: FastifyInstance,
  limits: () => CompiledConfig["rates"],
): Promise<LimitAddress> {
  const limitAddress = await limitAddresses(app, () => limits()?.perAddress);
  const perIdentity = limiter(
    app,
    () => limits()?.perIdentity,
    (request) => identityOf(request.caller),
    "this identity",
  );
  const shares: Record<Share, ReturnType<typeof limiter>> = {
    enrolment: limiter(
      app,
      () => limits()?.enrolment,
      () => "enrolment",
      "new enrolments",
    ),
    renewal: limiter(
      app,
      () => limits()?.renewal,
      () => "renewal",
      "renewals",
    ),
  };
  const countCaller = async (request: FastifyRequest) => {
    if (request.caller.kind !== "anonymous") await perIdentity(request);
    const { share } = request.routeOptions.config;
    if (share !== undefined) await shares[share](request);
  };
  const isProvenInBody = ({ routeOptions: { config } }: FastifyRequest) =>
    config.proof?.within === "body";
  // Both stand after the hook that resolves the caller: before the body, or behind it.
  app.addHook("preParsing", async (request) => {
    if (!isProvenInBody(request)) await countCaller(request);
  });
  app.addHook("preHandler", async (request) => {
    if (isProvenInBody(request)) await countCaller(request);
  });
  return limitAddress;
}

/** Counts the requests of each address on one listener, and nothing else; gives the same limit. */
export async function limitAddresses(
  app: FastifyInstance,
  rate: () => RateLimit | undefined,
): Promise<LimitAddress> {
  await app.register(rateLimit, { global: false, hook: "onRequest" });
  const perAddress = limiter(app, rate, ({ ip }) => networkOf(ip), "this address");
  app.addHook("onRequest", perAddress);
  // The limiter looks at the key and at limits of the route's own, of which there are none.
  const routeOptions = { config: {} };
  return (ip) => perAddress({ ip, routeOptions } as FastifyRequest);
}

/** Who has one IPv6 address has its /64: those count as one. An IPv4 address is taken as it is. */
function networkOf(address: string): string {
  return address.includes(":") ? normalizeIP(address, 64) : address;
}

function limiter(
  app: FastifyInstance,
  rate: () => RateLimit | undefined,
  keyGenerator: (request: FastifyRequest) => string,
  whose: string,
): (request: FastifyRequest) => Promise<void> {
  const check = app.createRateLimit({
    max: () => rate()?.max ?? 0,
    timeWindow: () => (rate()?.windowSeconds ?? 1) * 1000,
    keyGenerator,
  } satisfies RateLimitPluginOptions);
  return async (request) => {
    const limit = rate();
    if (limit === undefined) return;
    const verdict = await check(request);
    if (verdict.isAllowed || !verdict.isExceeded) return;
    throw new Problem({
      code: "rate-limited",
      detail: `The limit for ${whose} is reached: ${limit.max} requests in ${limit.windowSeconds} seconds.`,
      retryAfterSeconds: Math.max(1, verdict.ttlInSeconds),
    });
  };
}

/**
 * Refuses bodies above a number of bytes in a scope. It is asked each time, as a reload changes it.
 * A body that comes in chunks says no length: it is counted while it comes.
 */
export function limitBodies(scope: FastifyInstance, mostBytes: () => number): void {
  scope.addHook("preParsing", async ({ headers }, _reply, payload) => {
    const most = mostBytes();
    if (Number(headers["content-length"] ?? 0) > most) throw tooLarge(most);
    if (headers["transfer-encoding"] === undefined) return payload;
    return Readable.from(counted(payload as AsyncIterable<Buffer>, most));
  });
}

async function* counted(payload: AsyncIterable<Buffer>, most: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of payload) {
    bytes += chunk.length;
    if (bytes > most) throw tooLarge(most);
    yield chunk;
  }
}

function tooLarge(most: number): Problem {
  return new Problem({
    code: "payload-too-large",
    detail: `The body is larger than this service takes (${most} bytes, limits.bodyBytes).`,
  });
}
