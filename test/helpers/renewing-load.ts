/** Load on a service whose certificates live for seconds, and what each of its answers told. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { expect } from "vitest";
import type { LiveIdentity } from "../../src/client/identity/live-identity.ts";
import { autoRenew } from "../../src/client/renewal/auto-renew.ts";
import type { TestAuthority } from "./authority.ts";
import { until } from "./node-services.ts";

/** Serials of both certificates of a connection, as the server sees it. */
export interface Seen {
  readonly server: string;
  readonly client: string;
}

export function seenOn(socket: TLSSocket): Seen {
  return {
    server: socket.getX509Certificate()?.serialNumber ?? "none",
    client: socket.getPeerX509Certificate()?.serialNumber ?? "none",
  };
}

/** What a test adds to what is ended with it. */
export type AtEnd = (end: () => unknown) => void;

const RENEWALS = 5;
/** Requests that are under way at any time, and the pause between two of one caller. */
const [CALLERS, PAUSE_MS] = [3, 30];

/**
 * Starts a service on an identity of its own and calls it without end, until calls have seen the
 * first certificate and those of five renewals, on both sides. Every call has to succeed.
 */
export async function throughFiveRenewals(
  authority: TestAuthority,
  atEnd: AtEnd,
  start: (identity: LiveIdentity) => Promise<() => Promise<Seen>>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "countersign-load-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const terms = { profile: "peer", cn: "service", sans: ["dns:localhost"] };
  const token = await authority.mint(terms);
  const identity = await autoRenew({ dir: join(folder, "identity"), token });
  const problems: string[] = [];
  identity.on("failed", (error) => problems.push(`renewal: ${error.message}`));
  atEnd(() => identity.close());
  const call = await start(identity);
  const [servers, clients] = [new Set<string>(), new Set<string>()];
  let stopped = false;
  let answered = 0;
  const caller = async () => {
    while (!stopped) {
      try {
        const seen = await call();
        servers.add(seen.server);
        clients.add(seen.client);
        answered += 1;
      } catch (error) {
        problems.push(`call ${answered}: ${error instanceof Error ? error.stack : error}`);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  const explain = () =>
    `${servers.size} and ${clients.size} certificates, ${answered} answers. ${problems.slice(0, 3).join("\n")}`;
  try {
    const enough = () => Math.min(servers.size, clients.size) > RENEWALS;
    await until(() => enough() || problems.length > 0, 150, explain);
  } finally {
    stopped = true;
    await Promise.all(callers);
  }
  expect(problems).toEqual([]);
  expect(identity.status().renewals).toBeGreaterThanOrEqual(RENEWALS);
}
