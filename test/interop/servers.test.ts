/**
 * `autoRenew` in the servers and clients that services are made of. Each passes, under load and in
 * mutual TLS, through five renewals of its certificate without a failed request. They run side by
 * side on one authority; certificates live for 15 s, and for 30 s in the long run.
 */

import { once } from "node:events";
import type { RequestListener } from "node:http";
import { connect as connectHttp2, createSecureServer } from "node:http2";
import { type Agent, createServer, Agent as HttpsAgent, request, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import {
  checkServerIdentity,
  connect,
  createServer as createTlsServer,
  type TLSSocket,
} from "node:tls";
import * as grpc from "@grpc/grpc-js";
import express from "express";
import Fastify from "fastify";
import { fetch, Agent as UndiciAgent } from "undici";
import { describe, test } from "vitest";
import type { LiveIdentity } from "../../src/client/identity/live-identity.ts";
import { shortLives } from "../helpers/node-services.ts";
import { type AtEnd, type Seen, seenOn, throughFiveRenewals } from "../helpers/renewing-load.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const LIFE = process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 30 : 15;
// Due from its first second on: each is replaced long before it ends.
const authority = useAuthority({ config: shortLives(`${LIFE}s`, `${LIFE - 1}s`) });

const mutual = { requestCert: true, rejectUnauthorized: true } as const;
const tellSeen: RequestListener = (incoming, response) => {
  response.end(JSON.stringify(seenOn(incoming.socket as TLSSocket)));
};

async function listen(
  server: { listen(port: number, host: string): unknown; address(): unknown } & NodeJS.EventEmitter,
): Promise<number> {
  server.listen(0, "localhost");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** An https.Server that tells what it sees; others answer its requests when a listener is given. */
async function startHttps(
  identity: LiveIdentity,
  atEnd: AtEnd,
  listener: RequestListener = tellSeen,
): Promise<number> {
  const server = createServer({ ...identity.tls, ...mutual }, listener);
  identity.attach(server);
  atEnd(() => end(server));
  return listen(server);
}

function end(server: Server): void {
  server.closeAllConnections();
  server.close();
}

/** One request; without an agent on a connection of its own. */
function get(port: number, options: { agent: Agent | false } & object): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "localhost", port, ...options }, (response) => {
      text(response).then((body) => resolve(JSON.parse(body)), reject);
    });
    asked.on("error", reject).end();
  });
}

const fresh = (identity: LiveIdentity, port: number) => () =>
  get(port, { agent: false, ...identity.tls });

/** Requests in a session that is kept until its certificate is renewed. */
function overHttp2(identity: LiveIdentity, atEnd: AtEnd, port: number): () => Promise<Seen> {
  const sessions = identity.perCertificate(
    () => connectHttp2(`https://localhost:${port}`, { ...identity.tls }),
    (old) => old.close(),
  );
  atEnd(() => sessions.close());
  return () =>
    sessions.use(async (session) => JSON.parse(await text(session.request({ ":path": "/" }))));
}

describe.concurrent("through five renewals under load, without a failed request", {
  timeout: 180_000,
}, () => {
  const service = (
    name: string,
    start: (identity: LiveIdentity, atEnd: AtEnd) => Promise<() => Promise<Seen>>,
  ) =>
    test(name, ({ onTestFinished }) => {
      const atEnd: AtEnd = (end) =>
        onTestFinished(async () => {
          await end();
        });
      return throughFiveRenewals(authority, atEnd, (identity) => start(identity, atEnd));
    });

  service("https.createServer", async (identity, atEnd) =>
    fresh(identity, await startHttps(identity, atEnd)),
  );

  service("tls.createServer and tls.connect", async (identity, atEnd) => {
    const server = createTlsServer({ ...identity.tls, ...mutual }, (socket) => {
      socket.on("error", () => socket.destroy());
      socket.once("data", () => socket.end(JSON.stringify(seenOn(socket))));
    });
    identity.attach(server);
    atEnd(() => server.close());
    const port = await listen(server);
    return async () => {
      const socket = connect({ ...identity.tls, host: "localhost", port });
      socket.write("who?");
      return JSON.parse(await text(socket));
    };
  });

  service("http2.createSecureServer and http2.connect", async (identity, atEnd) => {
    const server = createSecureServer({ ...identity.tls, ...mutual });
    server.on("stream", (stream) => {
      const socket = stream.session?.socket as TLSSocket;
      stream.end(JSON.stringify(seenOn(socket)));
    });
    identity.attach(server);
    atEnd(() => server.close());
    return overHttp2(identity, atEnd, await listen(server));
  });

  service("Fastify", async (identity, atEnd) => {
    const app = Fastify<Server>({ serverFactory: identity.serverFactory(mutual) });
    app.get("/", async (asked) => seenOn(asked.raw.socket as TLSSocket));
    atEnd(() => app.close());
    await app.listen({ port: 0 });
    return fresh(identity, (app.server.address() as AddressInfo).port);
  });

  service("Fastify with http2", async (identity, atEnd) => {
    const app = Fastify({ http2: true, https: { ...identity.tls, ...mutual } });
    app.get("/", async (asked) => seenOn(asked.raw.stream.session?.socket as TLSSocket));
    identity.attach(app.server);
    atEnd(() => app.close());
    await app.listen({ port: 0, host: "127.0.0.1" });
    return overHttp2(identity, atEnd, (app.server.address() as AddressInfo).port);
  });

  service("Express", async (identity, atEnd) => {
    const app = express();
    app.get("/", (asked, response) => {
      response.json(seenOn(asked.socket as TLSSocket));
    });
    return fresh(identity, await startHttps(identity, atEnd, app));
  });

  service("https.Agent, Node's and the identity's own", async (identity, atEnd) => {
    const port = await startHttps(identity, atEnd);
    const agents = [new HttpsAgent({ ...identity.tls }), identity.agent()];
    atEnd(() => agents.forEach((agent) => void agent.destroy()));
    let calls = 0;
    return () => get(port, { agent: agents[calls++ % 2] as Agent });
  });

  service("undici", async (identity, atEnd) => {
    const port = await startHttps(identity, atEnd);
    const pools = identity.perCertificate(
      () => new UndiciAgent({ connect: identity.tls }),
      (old) => old.close(),
    );
    atEnd(() => pools.close());
    return () =>
      pools.use(async (dispatcher) => {
        const answer = await fetch(`https://localhost:${port}/`, { dispatcher });
        return (await answer.json()) as Seen;
      });
  });

  service("gRPC", async (identity, atEnd) => {
    const serving = identity.certificateProvider();
    const server = new grpc.Server();
    server.addService(whoIs, {
      ask: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
        const { sslPeerCertificate } = call.getAuthContext();
        answer(null, Buffer.from(sslPeerCertificate?.serialNumber ?? "none"));
      },
    });
    const credentials = grpc.experimental.createCertificateProviderServerCredentials(
      serving,
      serving,
      true,
    );
    atEnd(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("localhost:0", credentials, (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    const clients = identity.perCertificate(
      () => grpcClient(identity, port),
      (old) => old.close(),
    );
    atEnd(() => clients.close());
    return () => clients.use((client) => client.ask());
  });
});

const bytes = (value: Buffer) => value;
const whoIs: grpc.ServiceDefinition = {
  ask: {
    path: "/test.WhoIs/Ask",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
};

function grpcClient(identity: LiveIdentity, port: number) {
  let server = "none";
  const provider = identity.certificateProvider();
  const credentials = grpc.experimental.createCertificateProviderChannelCredentials(
    provider,
    provider,
    {
      checkServerIdentity: (host, certificate) => {
        server = certificate.serialNumber;
        return checkServerIdentity(host, certificate);
      },
    },
  );
  const client = new grpc.Client(`localhost:${port}`, credentials);
  const ask = () =>
    new Promise<Seen>((resolve, reject) => {
      client.makeUnaryRequest("/test.WhoIs/Ask", bytes, bytes, Buffer.alloc(0), (error, serial) =>
        error ? reject(error) : resolve({ server, client: String(serial) }),
      );
    });
  return { ask, close: () => client.close() };
}
