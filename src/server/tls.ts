import { constants } from "node:crypto";
import type { RequestListener } from "node:http";
import { createServer, type Server, type ServerOptions } from "node:https";
import { answerPlainHttp } from "./http/plain-on-tls.ts";
import { parserOptions, type RequestTimeouts, receive, settle } from "./http/server.ts";

/** Certificate and key with which the listener presents itself. PEM; the chain without the root. */
export interface ServerIdentity {
  readonly key: string;
  readonly certificateChain: string;
}

export interface TlsSettings {
  /**
   * PEM of the issuers and their roots: whose client certificates are asked for. Clients that hold
   * their own certificate alone send it only when its issuer is named (RFC 8446 4.2.4). Outside the
   * strict mode these are names only: a signature that fails in the handshake ends the connection,
   * also of a request for everyone.
   */
  readonly authoritiesPem: string;
  /** The strict mode: the handshake itself refuses a client without a certificate. */
  readonly requireClientCertificate: boolean;
  readonly handshakeTimeoutSeconds: number;
  readonly timeouts: RequestTimeouts;
  /** Where the service is, `https://…`: told to a client that speaks plain HTTP here. */
  readonly address: string;
}

/** The full context options; Node replaces all of them at once when the certificate is swapped. */
export function contextOptions(identity: ServerIdentity, settings: TlsSettings) {
  return {
    key: identity.key,
    cert: identity.certificateChain,
    ca: settings.authoritiesPem,
    minVersion: "TLSv1.2",
    // The peer of a connection never changes, so that it can be read once (see caller.ts).
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  } as const satisfies ServerOptions;
}

/**
 * The TLS listener. It always asks for a client certificate and, but for the strict mode, never
 * insists: who may call what is decided per request. No reliance is placed on the verdict of the
 * handshake, so session resumption is harmless (test/api/resumption.test.ts).
 */
export function createTlsServer(
  identity: ServerIdentity,
  settings: TlsSettings,
  listener: RequestListener,
): Server {
  const server = createServer(
    {
      ...contextOptions(identity, settings),
      requestCert: true,
      rejectUnauthorized: settings.requireClientCertificate,
      handshakeTimeout: settings.handshakeTimeoutSeconds * 1000,
      ...parserOptions(settings.timeouts),
    },
    receive(listener),
  );
  settle(server, settings.timeouts);
  answerPlainHttp(server, settings.address);
  return server;
}

/** Swaps the certificate on a running listener: new connections get the new one, old ones live on. */
export function swapIdentity(
  server: Server,
  identity: ServerIdentity,
  settings: TlsSettings,
): void {
  server.setSecureContext(contextOptions(identity, settings));
}
