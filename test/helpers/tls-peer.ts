/** A peer on a real TLS connection that nobody but the guard judges. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import type { RevocationGuard, Verdict } from "../../src/client/revocation/guard.ts";
import type { Holder } from "./authority.ts";

/** What a guard says of a peer that is the client of a connection, or its server. */
export async function judgePeer(
  guard: RevocationGuard,
  peer: Holder,
  own: Holder,
  purpose: "sslclient" | "sslserver" = "sslclient",
): Promise<Verdict> {
  const server = createServer({
    ...(purpose === "sslserver" ? peer : own),
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "secureConnection") as Promise<[TLSSocket]>;
  const client = connect({
    port: (server.address() as AddressInfo).port,
    ...(purpose === "sslclient" && peer),
    rejectUnauthorized: false,
  });
  try {
    const [[socket]] = await Promise.all([accepted, once(client, "secureConnect")]);
    return await guard.judge(purpose === "sslserver" ? client : socket);
  } finally {
    client.destroy();
    server.close();
  }
}
