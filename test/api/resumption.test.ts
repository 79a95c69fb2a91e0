import { execFile } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { Holder } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const run = promisify(execFile);
let offset = 0;

const authority = useAuthority({ clock: () => new Date(Date.now() + offset) });

const versions = ["TLSv1.2", "TLSv1.3"] as const;

interface Session {
  readonly status: number;
  readonly resumed: boolean;
  readonly ticket: Buffer | undefined;
}

/** One request on a new connection; gives the session ticket for the next one. */
function visit(
  version: (typeof versions)[number],
  as: Holder | undefined,
  session?: Buffer,
): Promise<Session> {
  return new Promise((resolve, reject) => {
    let ticket: Buffer | undefined;
    let resumed = false;
    const socket: TLSSocket = connect({
      host: "localhost",
      servername: "localhost",
      port: authority.port,
      ca: authority.root,
      minVersion: version,
      maxVersion: version,
      ...(as && { cert: as.cert, key: as.key }),
      ...(session && { session }),
    });
    socket.on("secureConnect", () => {
      resumed = socket.isSessionReused();
    });
    socket.on("session", (one) => {
      ticket = one;
    });
    socket.on("error", reject);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\r\n\r\n")) socket.end();
    });
    socket.on("close", () => resolve({ status: Number(text.split(" ")[1]), resumed, ticket }));
    socket.write(
      "GET /v1/certificates?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
  });
}

describe.each(versions)("%s sessions", (version) => {
  test("one without a certificate stays without, also resumed (S-01)", async () => {
    const first = await visit(version, undefined);
    const second = await visit(version, undefined, first.ticket);
    expect([first.status, second.status]).toEqual([401, 401]);
    expect(second.resumed).toBe(true);
  });

  test("one of a good certificate is good when resumed, and no longer once it is revoked (S-03)", async () => {
    const holder = await authority.enrol({ cn: `revoked-${version}` });
    const first = await visit(version, holder);
    const second = await visit(version, holder, first.ticket);
    expect([first.status, second.status, second.resumed]).toEqual([200, 200, true]);
    await authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
      as: authority.operator,
      body: { reason: "keyCompromise" },
    });
    const third = await visit(version, holder, second.ticket ?? first.ticket);
    expect([third.status, third.resumed]).toEqual([401, true]);
  });

  test("one whose certificate expires in between is refused when resumed (S-02)", async () => {
    const holder = await authority.enrol({ cn: `expires-${version}`, validity: "1h" });
    const first = await visit(version, holder);
    offset = 7200_000;
    const second = await visit(version, holder, first.ticket);
    offset = 0;
    expect([first.status, second.status, second.resumed]).toEqual([200, 401, true]);
  });
});

describe("open connections", () => {
  /** Sends requests one after another on one kept-alive connection. */
  function keepAlive(as: Holder) {
    const agent = new Agent({
      keepAlive: true,
      maxSockets: 1,
      ca: authority.root,
      cert: as.cert,
      key: as.key,
    });
    const ports = new Set<number>();
    const get = () =>
      new Promise<number>((resolve, reject) => {
        const one = request(`${authority.url}/v1/certificates?limit=1`, { agent }, (answer) => {
          ports.add(answer.socket.localPort ?? 0);
          answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
        });
        one.on("error", reject);
        one.end();
      });
    return { get, ports, close: () => agent.destroy() };
  }

  test("an open socket is refused from the request after the revocation on (S-03)", async () => {
    const holder = await authority.enrol({ cn: "keep-alive" });
    const line = keepAlive(holder);
    expect(await line.get()).toBe(200);
    await authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
      as: holder,
      body: {},
    });
    expect(await line.get()).toBe(401);
    expect(line.ports.size).toBe(1);
    line.close();
  });

  test("an open socket is refused once its certificate has expired (S-02)", async () => {
    const holder = await authority.enrol({ cn: "two requests", validity: "1h" });
    const line = keepAlive(holder);
    expect(await line.get()).toBe(200);
    offset = 7200_000;
    const after = await line.get();
    offset = 0;
    expect([after, line.ports.size]).toEqual([401, 1]);
    line.close();
  });

  test("pipelined requests are each judged on their own", async () => {
    const holder = await authority.enrol({ cn: "pipeline" });
    const { cert, key } = holder;
    const socket = connect({
      host: "localhost",
      port: authority.port,
      ca: authority.root,
      cert,
      key,
    });
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status);
    const pipeline = async (...paths: string[]) => {
      text = "";
      socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(""));
      while (statuses().length < paths.length)
        await new Promise((resolve) => setTimeout(resolve, 5));
      return statuses();
    };
    const list = "/v1/certificates?limit=1";
    expect(await pipeline(list, "/v1/audit", list, "/healthz")).toEqual([
      "200",
      "403",
      "200",
      "200",
    ]);
    const revoked = `/v1/certificates/${holder.serial}/revoke`;
    await authority.call("POST", revoked, { as: authority.operator, body: {} });
    expect(await pipeline(list, "/v1/audit", list, "/healthz")).toEqual([
      "401",
      "401",
      "401",
      "200",
    ]);
    socket.destroy();
  });

  test("a revoked certificate is refused as the first request after a restart (S-03)", async () => {
    const holder = await authority.enrol({ cn: "restart" });
    await authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
      as: authority.operator,
      body: {},
    });
    await authority.restart();
    expect((await authority.call("GET", "/v1/certificates", { as: holder })).status).toBe(401);
  });
});

describe("openssl s_client", () => {
  test.each(["-tls1_2", "-tls1_3"])(
    "resumes a session (%s) and is refused once revoked",
    async (version) => {
      const holder = await authority.enrol({ cn: `s_client${version}` });
      const folder = mkdtempSync(join(tmpdir(), "s_client-"));
      writeFileSync(join(folder, "cert.pem"), holder.cert);
      writeFileSync(join(folder, "key.pem"), holder.key);
      writeFileSync(join(folder, "root.pem"), authority.root);
      const talk = (...session: string[]) =>
        run(
          "sh",
          [
            "-c",
            `(printf 'GET /v1/certificates?limit=1 HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1) | openssl s_client -connect localhost:${authority.port} ${version} -CAfile root.pem -cert cert.pem -key key.pem -ign_eof ${session.join(" ")} 2>&1`,
          ],
          { cwd: folder },
        );
      const first = await talk("-sess_out", "session.pem");
      expect(first.stdout).toContain("HTTP/1.1 200");
      await authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
        as: authority.operator,
        body: {},
      });
      const second = await talk("-sess_in", "session.pem");
      expect(second.stdout).toContain("Reused,");
      expect(second.stdout).toContain("HTTP/1.1 401");
    },
  );
});
