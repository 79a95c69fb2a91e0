/**
 * The addresses under which certificates name an issuer's lists. They outlive a change of
 * `publicHttpUrl`: a list of a partition has to name all of them (RFC 5280 6.3.3 (b)(2)(i)).
 */

import type { Store } from "../../store/store.ts";
import { parseCertificate } from "../../x509/certificate/read.ts";
import { partitionsPrefix } from "./scope.ts";

const addressPrefix = (issuerId: string) => `crl:${issuerId}:address:`;

/**
 * Puts on record that certificates of an issuer name an address from now on (an origin, as
 * `http://ca.example.test`). It is durable when it resolves; the first certificate comes after it.
 */
export async function recordAddress(
  store: Store,
  issuerId: string,
  origin: string,
  now: Date,
): Promise<void> {
  let known = await readAddresses(store, issuerId);
  if (known.length === 0) {
    // A store that an earlier version filled: its certificates tell what no fact does.
    const named = await namedBefore(store, issuerId);
    for (const one of named) await put(store, issuerId, one, new Date(0));
    known = named;
  }
  if (known[0] !== origin) await put(store, issuerId, origin, now);
}

/** The addresses on record, the one that was taken last first. */
export async function readAddresses(store: Store, issuerId: string): Promise<readonly string[]> {
  const prefix = addressPrefix(issuerId);
  const facts = [...(await store.findFacts(prefix))];
  // Every node gives the same order, or each would replace the list of the other.
  facts.sort(([one, at], [other, then]) =>
    at === then ? (one < other ? -1 : 1) : at < then ? 1 : -1,
  );
  return facts.map(([key]) => key.slice(prefix.length));
}

function put(store: Store, issuerId: string, origin: string, at: Date): Promise<void> {
  return store.putFact(addressPrefix(issuerId) + origin, at.toISOString());
}

/** What certificates on record name; only lists of partitions depend on it. */
async function namedBefore(store: Store, issuerId: string): Promise<readonly string[]> {
  if ((await store.findFacts(partitionsPrefix(issuerId))).size === 0) return [];
  const origins = new Set<string>();
  for await (const page of store.streamCertificates({ now: new Date(0) })) {
    const rows = page.filter((one) => one.issuerId === issuerId);
    for (const der of (await store.readDer(rows.map((one) => one.id))).values()) {
      const parsed = parseCertificate(der);
      const points = parsed.ok ? parsed.value.crlDistributionPoints : [];
      for (const url of points) {
        const end = url.indexOf(`/crl/${issuerId}/`);
        if (end > 0) origins.add(url.slice(0, end));
      }
    }
  }
  return [...origins];
}
