/** S-32: the credential loses its standing between the headers of a request and its body. */

import { connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Holder, makeCsr, newKey, pemOf, testSubject } from "../helpers/authority.ts";
import { prepareNodes, serialOf } from "../helpers/nodes.ts";
import { startPostgres, type TestPostgres } from "../helpers/postgres.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let clockOffset = 0;

const authority = useAuthority({ clock: () => new Date(Date.now() + clockOffset) });

/** Where a half-sent request goes. */
interface Target {
  readonly port: number;
  readonly root: string;
  call(method: string, path: string): Promise<unknown>;
}

/** A request whose headers are sent now, and its body when the caller says so. */
async function halfSent(
  target: Target,
  options: {
    readonly path: string;
    readonly body: string;
    readonly type: string;
    readonly as?: Holder;
    readonly token?: string;
  },
): Promise<{ finish(): Promise<{ status: number; text: string }> }> {
  const socket: TLSSocket = connect({
    host: "127.0.0.1",
    port: target.port,
    servername: "localhost",
    ca: target.root,
    ...(options.as && { cert: options.as.cert, key: options.as.key }),
  });
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  const body = Buffer.from(options.body);
  socket.write(
    [
      `POST ${options.path} HTTP/1.1`,
      `host: localhost:${target.port}`,
      `content-type: ${options.type}`,
      `content-length: ${body.length}`,
      "connection: close",
      ...(options.token === undefined ? [] : [`authorization: Bearer ${options.token}`]),
      "",
      "",
    ].join("\r\n"),
  );
  // The first byte of the body: the headers are read, and the caller was proven, when it arrives.
  socket.write(body.subarray(0, 1));
  await proven(target, socket);
  return {
    finish: () =>
      new Promise((resolve, reject) => {
        let text = "";
        socket.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        socket.on("error", reject);
        socket.on("close", () => resolve({ status: Number(text.split(" ")[1]), text }));
        socket.write(body.subarray(1));
      }),
  };
}

/** Another request of the same process is answered after the headers on this socket were read. */
async function proven(target: Target, socket: TLSSocket): Promise<void> {
  while (socket.writableLength > 0) await new Promise(setImmediate);
  for (let round = 0; round < 3; round++) await target.call("GET", "/readyz");
}

const count = async () =>
  (await authority.call("GET", "/v1/certificates?limit=1000", { as: spare })).json.items
    .length as number;
let spare: Holder & { serial: string };

beforeAll(async () => {
  spare = await newOperator("spare operator");
});

async function newOperator(cn: string): Promise<Holder & { serial: string }> {
  return authority.enrol({ profile: "operator", cn });
}

const csr = (cn: string) =>
  makeCsr({ key: newKey(), subject: `/C=IN/ST=Karnataka/O=Example/CN=${cn}` });

const end = async (serial: string, reason: string) => {
  const answer = await authority.call("POST", `/v1/certificates/${serial}/revoke`, {
    as: spare,
    body: { reason },
  });
  expect(answer.status, answer.text).toBe(200);
};

/** What each can do with a certificate, and the request that tries it. */
const acts = {
  "renew with a new key": () => ({
    path: "/v1/certificates/renew",
    type: "application/pkcs10",
    body: csr("half"),
  }),
  "issue another operator": () => ({
    path: "/v1/certificates?profile=operator",
    type: "application/pkcs10",
    body: csr("mallory"),
  }),
  "mint a token of a day": () => ({
    path: "/v1/tokens",
    type: "application/json",
    body: JSON.stringify({ profile: "operator", cn: "mallory", ttl: 86_400 }),
  }),
  "revoke another": (victim: string) => ({
    path: `/v1/certificates/${victim}/revoke`,
    type: "application/json",
    body: JSON.stringify({ reason: "superseded" }),
  }),
  "check a request": () => ({
    path: "/v1/certificates/check?profile=client",
    type: "application/pkcs10",
    body: csr("half"),
  }),
};

describe.each(["keyCompromise", "certificateHold"])("ended by %s while half sent", (reason) => {
  test.each(Object.entries(acts))("%s: 401, and nothing happened", async (title, request) => {
    const victim = await authority.enrol({ cn: "victim" });
    const holder = title.startsWith("renew")
      ? await authority.enrol({ cn: "half" })
      : await newOperator("half");
    const before = await count();
    const pending = await halfSent(authority, { ...request(victim.serial), as: holder });
    await end(holder.serial, reason);
    const answer = await pending.finish();
    expect(answer.status, answer.text).toBe(401);
    expect(answer.text).toContain("urn:countersign:error:certificate-not-valid");
    expect(await count()).toBe(before);
    const entry = await authority.call("GET", `/v1/certificates/${victim.serial}`, { as: spare });
    expect(entry.json.status).toBe("valid");
    const audit = await authority.call("GET", "/v1/audit?limit=10", { as: spare });
    expect(
      audit.json.items.some(
        (one: { verdict: string; caller: string }) =>
          one.verdict === "refused" && one.caller.includes(holder.serial),
      ),
    ).toBe(true);
  });
});

describe("ended by time while half sent", () => {
  test("a certificate that expires before its body came renews nothing", async () => {
    const holder = await authority.enrol({ cn: "half", validity: "1h" });
    const pending = await halfSent(authority, { ...acts["renew with a new key"](), as: holder });
    clockOffset = 2 * 3600_000;
    const answer = await pending.finish();
    clockOffset = 0;
    expect(answer.status, answer.text).toBe(401);
    expect(answer.text).toContain("expired");
  });

  test("a token that expires before its body came issues nothing", async () => {
    const token = await authority.mint({ profile: "client", cn: "half", ttl: 60 });
    const before = await count();
    const pending = await halfSent(authority, {
      path: "/v1/certificates",
      type: "application/pkcs10",
      body: csr("half"),
      token,
    });
    clockOffset = 600_000;
    const answer = await pending.finish();
    clockOffset = 0;
    expect(answer.status, answer.text).toBe(401);
    expect(answer.text).toContain("urn:countersign:error:invalid-token");
    expect(await count()).toBe(before);
  });

  test("the same request goes through when nothing happened in between", async () => {
    const holder = await authority.enrol({ cn: "half" });
    const pending = await halfSent(authority, { ...acts["renew with a new key"](), as: holder });
    expect((await pending.finish()).status).toBe(201);
  });
});

describe("several processes", () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.remove());

  test.each([
    ["two nodes on one PostgreSQL", "postgres"],
    ["two workers on one SQLite file", "sqlite"],
  ])(
    "%s: ended at one, the other does nothing for the body",
    { timeout: 90_000 },
    async (_title, engine) => {
      const nodes = await prepareNodes(
        engine === "sqlite" ? "sqlite:countersign.db" : await postgres.database("half"),
      );
      try {
        const first = await nodes.start(engine === "sqlite" ? ["--workers", "2"] : []);
        const second = engine === "sqlite" ? first : await nodes.start();
        const enrol = async (profile: string, cn: string) => {
          const key = newKey();
          const answer = await first.call("POST", "/v1/certificates", {
            token: await nodes.mint({ profile, cn }),
            body: makeCsr({ key, subject: `${testSubject}/CN=${cn}` }),
            headers: { "content-type": "application/pkcs10" },
          });
          expect(answer.status, answer.text).toBe(201);
          return { cert: answer.text, key: pemOf(key), serial: serialOf(answer) };
        };
        const [keeper, thief] = [
          await enrol("operator", "keeper"),
          await enrol("operator", "thief"),
        ];
        const holder = await enrol("client", "half");
        const target = { port: first.port, root: nodes.root, call: first.call };
        const pending = [
          await halfSent(target, { ...acts["issue another operator"](), as: thief }),
          await halfSent(target, { ...acts["mint a token of a day"](), as: thief }),
          await halfSent(target, { ...acts["renew with a new key"](), as: holder }),
        ];
        for (const { serial } of [thief, holder]) {
          const revoked = await second.call("POST", `/v1/certificates/${serial}/revoke`, {
            as: keeper,
            body: { reason: "keyCompromise" },
          });
          expect(revoked.status, revoked.text).toBe(200);
        }
        for (const one of pending) {
          const answer = await one.finish();
          expect(answer.status, answer.text).toBe(401);
        }
      } finally {
        await nodes.remove();
      }
    },
  );
});
