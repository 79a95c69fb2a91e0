/**
 * A store in another process: one process owns the SQLite file, and the workers beside it reach it
 * over a channel. Calls of one turn of the event loop travel as one message.
 */

import {
  type CertificateQuery,
  InvalidCursor,
  type Store,
  type StoredCertificate,
  StoreUnavailable,
} from "./store.ts";

/** Both ends of it are given by who starts the processes. */
export interface Channel {
  send(message: unknown): void;
  onMessage(listen: (message: unknown) => void): void;
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}
type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** What may be called from afar: each takes and gives values only. */
const methods = [
  "recordIssuance",
  "recordAudit",
  "revoke",
  "findSpent",
  "findCertificate",
  "findRenewalBar",
  "findPresented",
  "findByKey",
  "readDer",
  "searchCertificates",
  "searchAudit",
  "revocationEvents",
  "nextNumber",
  "publishCrl",
  "readCrl",
  "findOldestFreshCrl",
  "getFact",
  "putFact",
  "findFacts",
  "inspect",
  "probe",
] as const satisfies readonly (keyof Store)[];
type Method = (typeof methods)[number];

/** Answers the calls that come over a channel with this store. */
export function serveStore(store: Pick<Store, Method>, channel: Channel): void {
  const answers = inBatches<Answer>((batch) => channel.send({ answers: batch }));
  channel.onMessage((message) => {
    const { calls } = (message ?? {}) as { calls?: readonly Call[] };
    for (const { id, method, args } of calls ?? []) {
      const known = methods.find((one) => one === method);
      const work = async () => {
        if (known === undefined) throw new Error(`the store has no ${method}`);
        return (store[known] as (...values: unknown[]) => Promise<unknown>)(...args);
      };
      work().then(
        (value) => answers({ id, value }),
        (error: Error) => answers({ id, error: { name: error.name, message: error.message } }),
      );
    }
  });
}

/** The store at the other end of a channel. */
export function remoteStore(channel: Channel): Store {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const calls = inBatches<Call>((batch) => channel.send({ calls: batch }));
  let last = 0;
  channel.onMessage((message) => {
    const { answers } = (message ?? {}) as { answers?: readonly Answer[] };
    for (const answer of answers ?? []) {
      const one = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ("error" in answer) one?.reject(errorOf(answer.error));
      else one?.resolve(answer.value);
    }
  });
  const call = (method: Method, args: readonly unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      calls({ id: last, method, args });
    });
  const called = Object.fromEntries(
    methods.map((method) => [method, (...args: unknown[]) => call(method, args)]),
  ) as unknown as Pick<Store, Method>;
  return {
    ...called,
    engine: "sqlite",
    // The other workers write too.
    statusRevision: () => undefined,
    streamCertificates: (query) => pagesOf(called, query),
    // The owner closes it when all have ended.
    close: async () => undefined,
  };
}

const STREAM_PAGE = 100;

async function* pagesOf(
  store: Pick<Store, "searchCertificates">,
  query: CertificateQuery,
): AsyncIterable<readonly StoredCertificate[]> {
  let cursor: string | undefined;
  do {
    const asked = { ...query, limit: STREAM_PAGE, ...(cursor !== undefined && { cursor }) };
    const page = await store.searchCertificates(asked);
    if (page.items.length > 0) yield page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Hands over what was given within one turn of the event loop together. */
function inBatches<T>(send: (batch: readonly T[]) => void): (one: T) => void {
  let batch: T[] = [];
  return (one) => {
    if (batch.length === 0) {
      setImmediate(() => {
        const full = batch;
        batch = [];
        send(full);
      });
    }
    batch.push(one);
  };
}

/** An error keeps its class where callers ask for it. */
function errorOf({ name, message }: { name: string; message: string }): Error {
  if (name === "InvalidCursor") return new InvalidCursor();
  if (name === "StoreUnavailable") return new StoreUnavailable(message);
  return new Error(message);
}
