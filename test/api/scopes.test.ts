import type { AddressInfo } from "node:net";
import { join } from "node:path";
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Authority } from "../../src/authority/authority.ts";
import { identityOf } from "../../src/authority/caller.ts";
import { openCrls, openIssuingKeys } from "../../src/config/open-authority.ts";
import { accepted, refused } from "../../src/refusal.ts";
import { originOf, proveCallers, requireCallers } from "../../src/server/caller.ts";
import { OwnIdentity } from "../../src/server/own/identity.ts";
import { ownProfile } from "../../src/server/own/profile.ts";
import { refusalOf, statusOf } from "../../src/server/problem.ts";
import { openRevocation } from "../../src/server/revocation/open.ts";
import { buildServer } from "../../src/server/server.ts";
import {
  type CallOptions,
  callHttps,
  makeCsr,
  newKey,
  type TestAuthority,
} from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

/** What a message of the toy protocol holds: the sender's token in its first line, then a text. */
interface Note {
  readonly token: string;
  readonly text: string;
}

const noteType = "application/toy-note";
const perIdentity = 8;
let app: FastifyInstance;
let call: (path: string, options: CallOptions) => ReturnType<typeof callHttps>;
const authority = useAuthority({
  config: (yaml) => {
    yaml["limits"] = { perIdentity: { max: perIdentity, window: "1h" } };
  },
});
beforeAll(async () => {
  app = await serveBeside(authority);
  const { port } = app.server.address() as AddressInfo;
  call = (path, options) =>
    callHttps(`https://localhost:${port}${path}`, "POST", authority.root, options);
});
afterAll(async () => {
  await app?.close();
});

/** The real server on the same authority, with a second protocol registered beside REST. */
async function serveBeside({ service, folder }: TestAuthority): Promise<FastifyInstance> {
  const { config, authority: issuing, store } = service;
  const { held } = await OwnIdentity.open({
    authority: issuing,
    file: join(folder, "beside.pem"),
    names: [{ kind: "dns", value: "localhost" }],
    profile: ownProfile("countersign-server", ["serverAuth"]),
    passphrase: undefined,
  });
  const clock = () => issuing.now();
  const crls = openCrls(config, openIssuingKeys(config, clock()), store, clock);
  const live = { current: config };
  const log = pino({ level: "silent" });
  const parts = { live, authority: issuing, store, crls, patienceMs: 0, log };
  const server = await buildServer({
    ...{ live, authority: issuing, identity: held.identity, log },
    revocation: await openRevocation(parts),
  });
  server.register(async (scope) => toyProtocol(scope, issuing));
  await server.listen({ host: "127.0.0.1", port: 0 });
  return server;
}

/** Its own parser, errors, validation and proof of the caller; none of them REST's. */
function toyProtocol(scope: FastifyInstance, issuing: Authority): void {
  scope.addContentTypeParser(
    noteType,
    { parseAs: "string" },
    async (_: FastifyRequest, body: string): Promise<Note> => {
      const [, token = "", text = ""] = /^(.*)\n([\s\S]*)$/u.exec(body) ?? [];
      return { token, text };
    },
  );
  scope.setErrorHandler((error, _request, reply) => {
    const { code } = refusalOf(error);
    return reply.code(statusOf[code]).type(noteType).send(`NO ${code}\n`);
  });
  proveCallers(scope, {
    within: "body",
    resolve: async (request) => {
      const { token } = request.body as Note;
      if (token === "") return refused("unauthenticated", "The first line is empty.");
      const verified = await issuing.verifyToken(token);
      return verified.ok
        ? accepted({ kind: "token", ...originOf(request), token: verified.value })
        : verified;
    },
  });
  const schema = {
    hide: true,
    querystring: {
      type: "object",
      properties: { loud: { type: "boolean" } },
      additionalProperties: false,
    },
  };
  scope.post("/toy/notes", { config: { caller: "token" }, schema }, async (request, reply) =>
    reply.type(noteType).send(`YES ${identityOf(request.caller)} ${(request.body as Note).text}`),
  );
}

const note = (body: string, type = noteType): CallOptions => ({
  body,
  headers: { "content-type": type },
});
const mint = (cn: string) => authority.mint({ profile: "client", cn, uses: 5 });

test("a caller that proves itself in the body is known to the handler", async () => {
  const token = await mint("in-the-body");
  const answer = await call("/toy/notes", note(`${token}\nhello`));
  expect(answer.text).toMatch(/^YES token:\S+ hello$/);
  expect(answer.status).toBe(200);
});

test("a body that proves nobody is refused in the protocol's own words, and audited", async () => {
  for (const [first, status, code] of [
    ["", 401, "unauthenticated"],
    ["x.y.z", 401, "invalid-token"],
  ] as const) {
    const answer = await call("/toy/notes", note(`${first}\nhello`));
    expect([answer.status, answer.text]).toEqual([status, `NO ${code}\n`]);
    expect(answer.headers["content-type"]).toBe(noteType);
  }
  const audit = await authority.call("GET", "/v1/audit?action=authenticate", {
    as: authority.operator,
  });
  expect(audit.json.items).toMatchObject([
    { code: "invalid-token", detail: { method: "POST", route: "/toy/notes" } },
    { code: "unauthenticated", detail: { method: "POST", route: "/toy/notes" } },
  ]);
});

test("proof in the body does not count from a header, nor REST's proof from a body", async () => {
  const token = await mint("either-way");
  const byHeader = await call("/toy/notes", { ...note("\nhello"), token });
  expect(byHeader.text).toBe("NO unauthenticated\n");
  const byCertificate = await call("/toy/notes", { ...note("\nhello"), as: authority.operator });
  expect(byCertificate.text).toBe("NO unauthenticated\n");
  const rest = await call("/v1/certificates", note(`${token}\nhello`, "text/plain"));
  expect(rest.json).toMatchObject({ type: "urn:countersign:error:unauthenticated" });
});

test("neither scope reads the other's bodies, and each refuses in its own form", async () => {
  const token = await mint("bodies");
  const json = await call("/toy/notes", { body: { token } });
  expect([json.status, json.text]).toEqual([415, "NO unsupported-media-type\n"]);
  const csr = await call("/toy/notes", note(makeCsr({ key: newKey() }), "application/pkcs10"));
  expect([csr.status, csr.text]).toEqual([415, "NO unsupported-media-type\n"]);
  const foreign = await call("/v1/certificates", { ...note(`${token}\nhello`), token });
  expect(foreign.json).toMatchObject({ status: 415, instance: "/v1/certificates" });
});

test("REST's strict validation is its own: a parameter that nobody knows is refused there only", async () => {
  const token = await mint("strict");
  const toy = await call("/toy/notes?louder=yes", note(`${token}\nhello`));
  expect(toy.status).toBe(200);
  const rest = await call("/v1/certificates?louder=yes", {
    token,
    body: { csr: makeCsr({ key: newKey() }) },
  });
  expect([rest.status, rest.json.violations?.[0]?.rule]).toEqual([
    400,
    "schema.additionalProperties",
  ]);
});

test("limits hold for all: an identity proven in the body is counted, and only that one", async () => {
  const [busy, other] = [await mint("busy"), await mint("other")];
  const statuses = [];
  for (let i = 0; i <= perIdentity; i++) {
    statuses.push((await call("/toy/notes", note(`${busy}\n${i}`))).status);
  }
  expect(statuses).toEqual([...Array.from({ length: perIdentity }, () => 200), 429]);
  expect((await call("/toy/notes", note(`${busy}\nmore`))).text).toBe("NO rate-limited\n");
  expect((await call("/toy/notes", note(`${other}\nhello`))).status).toBe(200);
});

test("an address that no scope has is a problem document, whatever its body", async () => {
  const nothing = await call("/toy/nothing", note("x\ny"));
  expect(nothing.json).toMatchObject({ status: 404, type: "urn:countersign:error:not-found" });
});

test("a scope that does not say how callers prove themselves keeps the server from starting", async () => {
  const server = Fastify();
  requireCallers(server, {} as Authority, () => "certificate");
  server.register(async (scope) => {
    scope.get("/secret", { config: { caller: "operator" } }, async () => "open");
  });
  await expect(server.ready()).rejects.toThrow(/proveCallers.*GET \/secret/);
});
