import { readdirSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import Fastify from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Authority } from "../../../src/authority/authority.ts";
import { assembleIssuer, type Issuer, Issuers } from "../../../src/authority/issuers.ts";
import { IssuingKeys, signerOf } from "../../../src/authority/issuing-key.ts";
import { keySigner } from "../../../src/authority/signer/key-file.ts";
import { type Signer, SignerUnavailable } from "../../../src/authority/signer/signer.ts";
import { Templates } from "../../../src/authority/templates.ts";
import { authorityChecks, healthRoutes } from "../../../src/server/rest/health.ts";
import { startAuthority, type TestAuthority } from "../../helpers/authority.ts";
import { newIssuing, newKey, newRoot, now } from "../../helpers/x509-chain.ts";

const root = newRoot();
const party = newIssuing(root);
const signer = keySigner(party.key);
const issuer = assembleIssuer([party.certificate], root.certificate, signer, now);
const keys = new IssuingKeys({ issuer, signer });

let running: TestAuthority;
beforeAll(async () => {
  running = await startAuthority();
});
afterAll(() => running?.stop());

/** Every value that can be reached from a value by names that anyone may use, getters included. */
function* reachable(from: unknown, seen = new Set<unknown>()): Generator<[string, unknown]> {
  if (typeof from !== "object" || from === null || seen.has(from)) return;
  if (ArrayBuffer.isView(from) || from instanceof Date) return;
  seen.add(from);
  const inherited = Object.getOwnPropertyNames(Object.getPrototypeOf(from) ?? {});
  for (const name of new Set([...Object.getOwnPropertyNames(from), ...inherited])) {
    const value = (from as Record<string, unknown>)[name];
    yield [name, value];
    yield* reachable(value, seen);
  }
}

describe("the issuing key", () => {
  test("is not among what an authority, its issuers or the bundle of keys hand out", () => {
    const { authority } = running.service;
    // @ts-expect-error an issuer is facts: there is nothing to sign with
    expect(authority.issuers.active.signer).toBeUndefined();
    // @ts-expect-error nor a key
    expect(authority.issuers.active.key).toBeUndefined();
    // @ts-expect-error an authority shows no keys
    expect(authority.keys).toBeUndefined();
    // @ts-expect-error what config/ makes of them says nothing but who the issuers are
    expect(keys.signers).toBeUndefined();
    // @ts-expect-error and an issuer alone is no way to its key
    expect(() => signerOf({ issuers: new Issuers(issuer) }, issuer)).toThrow(TypeError);
    const names = [authority, authority.issuers, keys].flatMap((one) => [
      ...reachable({ ...one, issuers: "issuers" in one ? one.issuers : one }),
    ]);
    expect(names.map(([name]) => name)).toContain("intermediatesPem");
    expect(names.map(([name]) => name)).not.toContain("sign");
    const secrets = names.filter(([, value]) => (value as { type?: unknown })?.type === "private");
    expect(secrets).toEqual([]);
  });

  test("is taken out in authority/ only, and put in by config/open-authority.ts alone", () => {
    const src = fileURLToPath(new URL("../../../src", import.meta.url));
    const files = readdirSync(src, { recursive: true, encoding: "utf8" });
    const importing = files
      .filter((file) => file.endsWith(".ts") && !file.startsWith("authority/"))
      .filter((file) => readFileSync(`${src}/${file}`, "utf8").includes("/issuing-key.ts"));
    expect(importing).toEqual(["config/open-authority.ts"]);
    expect(readFileSync(`${src}/config/open-authority.ts`, "utf8")).not.toContain("signerOf");
  });

  test("that is not here is said by the name of its issuer", () => {
    const other = newIssuing(root, "ecdsa-with-SHA256", "Elsewhere");
    const elsewhere = assembleIssuer(
      [other.certificate],
      root.certificate,
      keySigner(other.key),
      now,
    );
    expect(() => signerOf(keys, elsewhere)).toThrow(SignerUnavailable);
    expect(() => signerOf(keys, elsewhere)).toThrow(/CN=Elsewhere/);
  });

  test("belongs to one issuer: two with the same are refused", () => {
    expect(() => new IssuingKeys({ issuer, signer }, [{ issuer, signer }])).toThrow(
      /each issuer needs a key of its own/,
    );
  });
});

describe("GET /readyz", () => {
  const clock = { at: new Date(now) };
  let signed = 0;
  let fault: Error | undefined;
  const counting: Signer = {
    ...signer,
    sign: async (tbs) => {
      signed += 1;
      if (fault !== undefined) throw fault;
      return signer.sign(tbs);
    },
  };

  /** The routes on a listener, over an authority that counts signatures; `ask` gives a status. */
  async function serve(of: { issuer: Issuer; signer: Signer }) {
    const authority = new Authority({
      name: "counted",
      keys: new IssuingKeys(of),
      templates: new Templates(() => {
        throw new Error("nothing is issued here");
      }),
      store: running.service.store,
      profiles: new Map(),
      tokens: undefined as never,
      blockedKeys: new Set(),
      clock: () => clock.at,
      alarm: () => {},
    });
    const app = Fastify();
    healthRoutes(app, authorityChecks(authority));
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const ask = () => fetch(`http://127.0.0.1:${port}/readyz`);
    const askOften = async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, ask));
      return [...new Set(answers.map((one) => one.status))];
    };
    return { app, ask, askOften };
  }

  test("asked a hundred times, at once or one by one, makes the key sign once in ten seconds", async () => {
    const { app, ask, askOften } = await serve({ issuer, signer: counting });
    signed = 0;
    expect(await askOften()).toEqual([200]);
    expect(signed).toBe(1);
    for (let asked = 0; asked < 100; asked++) expect((await ask()).status).toBe(200);
    clock.at = new Date(now.getTime() + 9_999);
    expect(await askOften()).toEqual([200]);
    expect(signed).toBe(1);
    clock.at = new Date(now.getTime() + 10_000);
    expect(await askOften()).toEqual([200]);
    expect(signed).toBe(2);
    await app.close();
  });

  test("says that the key does not sign to all who ask, and sees it well again after ten seconds", async () => {
    const { app, ask, askOften } = await serve({ issuer, signer: counting });
    signed = 0;
    fault = new SignerUnavailable("the token was pulled out");
    expect(await askOften()).toEqual([503]);
    const { checks } = (await (await ask()).json()) as { checks: object[] };
    expect(checks).toContainEqual({
      name: "issuing key",
      ok: false,
      detail: "the token was pulled out",
    });
    fault = undefined;
    expect((await ask()).status).toBe(503);
    expect(signed).toBe(1);
    clock.at = new Date(clock.at.getTime() + 10_000);
    expect(await askOften()).toEqual([200]);
    expect(signed).toBe(2);
    await app.close();
  });

  test("is not satisfied by a signature that another key made", async () => {
    const wrong = keySigner(newKey("ecdsa-with-SHA256"));
    const { app, ask } = await serve({ issuer, signer: { ...counting, sign: wrong.sign } });
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain("a signature of the issuing key does not verify");
    await app.close();
  });
});
