/** What was fetched, kept for as long as it is good: one fetch at a time, and a pause after a failure. */

/** What a source says of one certificate. */
export type Revocation =
  | { readonly status: "good" }
  | { readonly status: "revoked"; readonly at: Date; readonly reason: string }
  | { readonly status: "unknown"; readonly why: string };

export interface SourceSettings {
  /** How long an answer is used before it is asked for again, in ms; its own end may come sooner. */
  readonly maxAgeMs: number;
  readonly timeoutMs: number;
  /** How long after its thisUpdate an answer without nextUpdate is good, in ms. */
  readonly statusAgeMs: number;
  readonly now: () => Date;
}

/** A failure that will not be another one soon; the next request does not try again. */
export class LastingFailure extends Error {}

/** Clocks of others may be ahead by this much. */
const SKEW_MS = 5 * 60_000;
const MOST_ENTRIES = 10_000;
/** After a failure the next request does not try again at once. */
const FAILURE_PAUSE_MS = 5_000;

interface Held<T> {
  readonly value: T;
  readonly fetchedAt: number;
  /** Not used after this instant, come what may. */
  readonly goodUntil: number;
}

interface Fetched<T> {
  readonly value: T;
  readonly goodUntil: Date;
}

export class Shelf<T> {
  readonly #held = new Map<string, Held<T>>();
  readonly #underWay = new Map<string, Promise<Held<T>>>();
  readonly #failed = new Map<string, { readonly until: number; readonly error: Error }>();
  readonly #settings: Pick<SourceSettings, "maxAgeMs" | "now">;

  constructor(settings: Pick<SourceSettings, "maxAgeMs" | "now">) {
    this.#settings = settings;
  }

  /** The value, fetched when there is none or it is too old; an old one that is still good bridges a failure. */
  async get(key: string, fetch: () => Promise<Fetched<T>>): Promise<T> {
    const now = this.#settings.now().getTime();
    const held = this.#held.get(key);
    const usable = held !== undefined && now <= held.goodUntil ? held : undefined;
    if (usable !== undefined && now - usable.fetchedAt < this.#settings.maxAgeMs)
      return usable.value;
    const failed = this.#failed.get(key);
    if (failed !== undefined && now < failed.until) {
      if (usable !== undefined) return usable.value;
      throw failed.error;
    }
    try {
      return (await this.#fetchOnce(key, fetch, now)).value;
    } catch (error) {
      if (this.#failed.size >= MOST_ENTRIES) this.#failed.clear();
      const pause =
        error instanceof LastingFailure
          ? Math.max(FAILURE_PAUSE_MS, this.#settings.maxAgeMs)
          : FAILURE_PAUSE_MS;
      this.#failed.set(key, { until: now + pause, error: error as Error });
      if (usable !== undefined) return usable.value;
      throw error;
    }
  }

  #fetchOnce(key: string, fetch: () => Promise<Fetched<T>>, now: number): Promise<Held<T>> {
    const running = this.#underWay.get(key);
    if (running !== undefined) return running;
    const started = (async () => {
      const { value, goodUntil } = await fetch();
      const held = { value, fetchedAt: now, goodUntil: goodUntil.getTime() };
      if (this.#held.size >= MOST_ENTRIES) this.#held.clear();
      this.#held.set(key, held);
      this.#failed.delete(key);
      return held;
    })().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, started);
    return started;
  }
}

/** Until when a list or an answer counts; throws when it does not count now. */
export function currentUntil(
  { thisUpdate, nextUpdate }: { readonly thisUpdate: Date; readonly nextUpdate: Date | undefined },
  { now, statusAgeMs }: { readonly now: Date; readonly statusAgeMs: number },
  url: string,
): Date {
  if (thisUpdate.getTime() > now.getTime() + SKEW_MS) {
    throw new Error(`${url}: the answer is from the future (${thisUpdate.toISOString()})`);
  }
  if (nextUpdate !== undefined && nextUpdate < thisUpdate) {
    throw new Error(`${url}: nextUpdate is before thisUpdate (${thisUpdate.toISOString()})`);
  }
  const until = nextUpdate ?? new Date(thisUpdate.getTime() + statusAgeMs);
  if (until < now) {
    const why = nextUpdate === undefined ? " (it has no nextUpdate, and statusAgeMs is over)" : "";
    throw new Error(`${url}: the answer ended on ${until.toISOString()}${why}`);
  }
  return until;
}

export async function fetchBytes(
  url: string,
  options: { readonly most: number; readonly timeoutMs: number; readonly body?: Uint8Array },
): Promise<Uint8Array> {
  if (!/^https?:/i.test(url)) throw new Error(`${url} cannot be fetched: only http and https`);
  const { body, most } = options;
  const answer = await fetch(url, {
    signal: AbortSignal.timeout(options.timeoutMs),
    redirect: "error",
    ...(body && {
      method: "POST",
      body: Buffer.from(body),
      headers: { "content-type": "application/ocsp-request" },
    }),
  });
  if (!answer.ok || answer.body === null) throw new Error(`${url} answered ${answer.status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.length;
    if (size > most) throw new Error(`${url}: the answer is longer than ${most} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
