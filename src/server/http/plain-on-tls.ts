/** `http://` on the port of `https://`: a sentence with the right address instead of a closed connection. */

import type { Server } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { fixedHeaders } from "./fixed-headers.ts";

/** Answers plain HTTP (400, text) on a TLS listener; `address` is where the service is, `https://…`. */
export function answerPlainHttp(server: Server, address: string): void {
  /** Connections whose handshake is under way: only these can turn out to speak HTTP. */
  const raw = new Map<string, Socket>();
  server.on("connection", (socket: Socket) => {
    const ends = endsOf(socket);
    raw.set(ends, socket);
    socket.once("close", () => raw.get(ends) === socket && raw.delete(ends));
  });
  server.on("secureConnection", (socket: TLSSocket) => raw.delete(endsOf(socket)));
  // Before the listener that closes the connection.
  server.prependListener("tlsClientError", (error: Error & { code?: string }, socket) => {
    const connection = raw.get(endsOf(socket));
    if (error.code !== "ERR_SSL_HTTP_REQUEST" || !connection?.writable) return;
    // The client may be gone.
    connection.on("error", () => undefined);
    connection.write(sentence(address));
  });
}

function sentence(address: string): string {
  const body = `This port speaks HTTPS only. Use ${address}\n`;
  const headers = {
    ...fixedHeaders,
    "content-type": "text/plain; charset=utf-8",
    date: new Date().toUTCString(),
    "content-length": body.length,
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 400 Bad Request\r\n${lines.join("")}\r\n${body}`;
}

/** Both ends of a connection: no two that are open at once have the same. */
function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
