import { constants } from "node:crypto";
import type { RequestListener } from "node:http";
import { createServer, type Server, type ServerOptions } from "node:https";

/** Certificate and key with which the listener presents itself. PEM; the chain without the root. */
export interface ServerIdentity {
  readonly key: string;
  readonly certificateChain: string;
}

export interface TlsSettings {
  /**
   * PEM of the issuers and their roots: whose client certificates are asked for. Clients that hold
   * their own certificate alone send it only when its issuer is named (RFC 8446 4.2.4).
   */
  readonly authoritiesPem: string;
  /** The strict mode: the handshake itself refuses a client without a certificate. */
  readonly requireClientCertificate: boolean;
  readonly handshakeTimeoutSeconds: number;
  readonly headersTimeoutSeconds: number;
  readonly requestTimeoutSeconds: number;
  /** A connection that moves no byte for so long is cut off, unless it waits for its next request. */
  readonly stalledReaderSeconds: number;
}

/** Idle time after which a kept-alive connection is closed; longer than common client pools keep one. */
export const KEEP_ALIVE_MS = 65_000;

/** Node looks for overdue requests every 30 s otherwise, whatever the timeouts say; milliseconds. */
export function overdueInterval(headersTimeoutSeconds: number): number {
  return Math.min(5, headersTimeoutSeconds) * 1000;
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
      headersTimeout: settings.headersTimeoutSeconds * 1000,
      requestTimeout: settings.requestTimeoutSeconds * 1000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: overdueInterval(settings.headersTimeoutSeconds),
    },
    listener,
  );
  server.timeout = settings.stalledReaderSeconds * 1000;
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
