import { connect as connectTcp } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCsr, newKey } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const authority = useAuthority({
  config: (yaml) => {
    yaml["limits"] = {
      perAddress: { max: 400, window: "1h" },
      perIdentity: { max: 40, window: "1h" },
      enrolment: { max: 8, window: "1h" },
      renewal: { max: 5, window: "1h" },
      headersTimeout: "1s",
      requestTimeout: "2s",
      handshakeTimeout: "1s",
    };
  },
});

describe("limits (S-28)", () => {
  test("enrolments cannot use up the share of renewals", async () => {
    const holder = await authority.enrol();
    const token = await authority.mint({ profile: "client", cn: "web" });
    const body = { csr: makeCsr({ key: newKey() }) };
    const answers = [];
    for (let i = 0; i < 9; i++)
      answers.push(await authority.call("POST", "/v1/certificates", { token, body }));
    expect(answers.filter((one) => one.status === 429).length).toBeGreaterThan(0);
    const last = answers.at(-1);
    expect(last?.json).toMatchObject({ type: "urn:countersign:error:rate-limited", status: 429 });
    expect(Number(last?.headers["retry-after"])).toBeGreaterThan(0);
    expect((await authority.call("POST", "/v1/certificates/renew", { as: holder })).status).toBe(
      201,
    );
    const renewals = [];
    for (let i = 0; i < 6; i++)
      renewals.push(await authority.call("POST", "/v1/certificates/renew", { as: holder }));
    expect(renewals.at(-1)?.status).toBe(429);
  });

  test("one identity over its limit does not hold up another, nor does it escape by a new connection", async () => {
    const statuses = [];
    for (let i = 0; i < 45; i++)
      statuses.push(
        (await authority.call("GET", "/v1/audit?limit=1", { as: authority.operator })).status,
      );
    expect(statuses[0]).toBe(200);
    expect(statuses.at(-1)).toBe(429);
    expect((await authority.call("GET", "/v1/ca")).status).toBe(200);
  });

  test("one address over its limit gets 429 on every route", async () => {
    let status = 0;
    for (let i = 0; i < 400 && status !== 429; i++)
      status = (await authority.call("GET", "/healthz")).status;
    expect(status).toBe(429);
    // Counted before anyone is asked who he is: no signature is verified for an address over it.
    const forged = await authority.call("POST", "/v1/certificates", { token: "x.y.z", body: {} });
    expect(forged.status).toBe(429);
    const { plainAddress } = authority.service;
    const issuer = authority.service.authority.issuers.active;
    for (const path of [`/crl/${issuer.id}.crl`, "/ocsp/MEow", "/crl/nothing"]) {
      const answer = await authority.call("GET", path);
      expect([path, answer.status]).toEqual([path, 429]);
      expect(answer.json).toMatchObject({ type: "urn:countersign:error:rate-limited" });
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    }
    // Relying parties behind one address must always learn what is revoked.
    const list = await fetch(`http://127.0.0.1:${plainAddress?.port}/crl/${issuer.id}.crl`);
    expect(list.status).toBe(200);
  });

  test("the plain listener counts by itself, on every path", async () => {
    const plain = `http://127.0.0.1:${authority.service.plainAddress?.port}`;
    const issuer = authority.service.authority.issuers.active;
    let answer = await fetch(`${plain}/crl/${issuer.id}.crl`);
    for (let i = 0; i < 400 && answer.status === 200; i++) {
      await answer.arrayBuffer();
      answer = await fetch(`${plain}/crl/${issuer.id}.crl`);
    }
    for (const path of [`/crl/${issuer.id}.crl`, "/ocsp/MEow", "/crl/nothing", "/", "/v1/ca"]) {
      const refused = await fetch(plain + path);
      expect([path, refused.status]).toEqual([path, 429]);
      expect(await refused.json()).toMatchObject({ type: "urn:countersign:error:rate-limited" });
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    }
  });
});

describe("slow clients", () => {
  test("one that says nothing in the handshake is cut off", async () => {
    const socket = connectTcp(authority.port, "127.0.0.1");
    const closed = await new Promise<boolean>((resolve) => {
      socket.on("close", () => resolve(true));
      socket.on("error", () => resolve(true));
      setTimeout(() => resolve(false), 10_000).unref();
    });
    expect(closed).toBe(true);
  });

  test("one that dribbles its headers is cut off", async () => {
    const socket: TLSSocket = connect({
      host: "localhost",
      port: authority.port,
      ca: authority.root,
    });
    const ended = new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("close", () => resolve(text));
      socket.on("error", () => resolve(text));
    });
    socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
    const drip = setInterval(() => socket.writable && socket.write("X-Slow: 1\r\n"), 300);
    const text = await ended;
    clearInterval(drip);
    expect(text).not.toContain("200 OK");
  }, 60_000);
});
