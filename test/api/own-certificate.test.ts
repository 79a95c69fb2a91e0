import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, test, vi } from "vitest";
import { startAuthority } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const authority = useAuthority();

/** The serial that the listener presents to a new connection. */
function presented(host = "localhost"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        host: "127.0.0.1",
        port: authority.port,
        // Only looked at: one of these was made by a clock of the future.
        rejectUnauthorized: false,
        servername: host === "127.0.0.1" ? "" : host,
      },
      () => {
        const serial = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "";
        socket.end();
        resolve(serial);
      },
    );
    socket.on("error", reject);
  });
}

describe("the service's own certificate", () => {
  test("is one of its own, in the index, for each of its names", async () => {
    const entry = (
      await authority.call("GET", `/v1/certificates/${await presented()}`, {
        as: authority.operator,
      })
    ).json;
    expect(entry).toMatchObject({
      profile: "countersign-server",
      via: "internal",
      status: "valid",
    });
    expect(entry.subjectAltNames).toEqual(
      expect.arrayContaining(["dns:localhost", "ip:127.0.0.1", "ip:::1"]),
    );
  });

  test("is renewed and swapped on the live listener without dropping a connection", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.root });
    const ports = new Set<number>();
    const get = () =>
      new Promise<number>((resolve, reject) => {
        const one = request(`${authority.url}/healthz`, { agent }, (answer) => {
          ports.add(answer.socket.localPort ?? 0);
          answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
        });
        one.on("error", reject);
        one.end();
      });
    const before = await presented();
    let running = true;
    const load = (async () => {
      const statuses = new Set<number>();
      while (running) statuses.add(await get());
      return statuses;
    })();
    await authority.service.renewOwnCertificate();
    const after = await presented();
    running = false;
    expect(await load).toEqual(new Set([200]));
    expect(ports.size).toBe(1);
    expect(after).not.toBe(before);
    agent.destroy();
  });

  test("is used again after a restart, and replaced when two thirds of its life are over", async () => {
    const before = await presented();
    await authority.restart();
    expect(await presented()).toBe(before);
    await authority.restart(() => new Date(Date.now() + 21 * 86_400_000));
    expect(await presented()).not.toBe(before);
    await authority.restart(() => new Date());
  });
});

describe("listen.requireClientCertificate", () => {
  test("refuses at the handshake a client without a certificate; a holder gets in", async () => {
    const strict = await startAuthority({
      config: (yaml) => {
        yaml["listen"].requireClientCertificate = true;
      },
    });
    await expect(strict.call("GET", "/healthz")).rejects.toThrow();
    expect((await strict.call("GET", "/healthz", { as: strict.operator })).status).toBe(200);
    await strict.stop();
  });
});

test("a duty that fails says which one it was: the OCSP responder's, not the listener's", async () => {
  const file = join(authority.folder, "ocsp.pem");
  const [leaf] =
    readFileSync(file, "utf8").match(/-----BEGIN CERTIFICATE-[\s\S]+?-----END.*/) ?? [];
  const { validFromDate, validToDate } = new X509Certificate(leaf ?? "");
  const life = validToDate.getTime() - validFromDate.getTime();
  const almostDue = validFromDate.getTime() + (life * 2) / 3 - 1000;
  // The clock stands until the service has started; then it goes on from there.
  let startedAt: number | undefined;
  await authority.restart(
    () => new Date(almostDue + (startedAt === undefined ? 0 : Date.now() - startedAt)),
  );
  const before = authority.logged().length;
  // A folder that holds something is in the way of the new file.
  rmSync(file);
  mkdirSync(join(file, "in-the-way"), { recursive: true });
  startedAt = Date.now();
  const said = () => authority.logged().slice(before);
  await vi.waitUntil(() => said().includes("; trying again"), { timeout: 20_000 });
  expect(said()).toContain(
    "the certificate of the OCSP responder could not be renewed; trying again",
  );
  expect(said()).not.toContain("the service's own certificate could not be renewed");
  rmSync(file, { recursive: true });
});
