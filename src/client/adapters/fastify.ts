/** A server in the shape that Fastify asks for, without Fastify. */

import type { RequestListener } from "node:http";
import { createServer, type Server, type ServerOptions } from "node:https";

/** Fastify's `serverFactory`: its handler, and its options. */
export type ServerFactory = (
  handler: RequestListener,
  settings: Readonly<Record<string, unknown>>,
) => Server;

/** Gives a factory whose servers are made with `options`, and told to `made`. */
export function serverFactory(
  options: ServerOptions,
  made: (server: Server) => void,
): ServerFactory {
  return (handler, settings) => {
    const server = createServer(options, handler);
    // Fastify sets them on its own servers, and leaves those of a factory alone.
    const { keepAliveTimeout, requestTimeout, connectionTimeout, maxRequestsPerSocket } = settings;
    if (typeof keepAliveTimeout === "number") server.keepAliveTimeout = keepAliveTimeout;
    if (typeof requestTimeout === "number") server.requestTimeout = requestTimeout;
    if (typeof connectionTimeout === "number") server.setTimeout(connectionTimeout);
    // Zero means no limit there, and no request at all here.
    if (typeof maxRequestsPerSocket === "number" && maxRequestsPerSocket > 0)
      server.maxRequestsPerSocket = maxRequestsPerSocket;
    made(server);
    return server;
  };
}
