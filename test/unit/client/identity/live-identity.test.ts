import { once } from "node:events";
import { createServer, Agent as HttpsAgent, request } from "node:https";
import type { AddressInfo } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { Agent as UndiciAgent, request as undiciRequest } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import { enroll } from "../../../../src/client/enroll.ts";
import type { Identity } from "../../../../src/client/identity/identity.ts";
import { LiveIdentity } from "../../../../src/client/identity/live-identity.ts";
import { identityFolder } from "../../../helpers/identity-folder.ts";
import { useAuthority } from "../../../helpers/use-authority.ts";

let first: Identity;
let second: Identity;
const authority = useAuthority();

const make = async () => {
  const token = await authority.mint({ profile: "peer", cn: "web", sans: ["dns:localhost"] });
  return (await enroll({ dir: identityFolder(), token })).identity;
};
const live = async () => {
  first ??= await make();
  second ??= await make();
  return new LiveIdentity(first, async () => {});
};
const serialOf = (socket: TLSSocket) =>
  socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "none";

/** Answers with the serial of the client certificate that it sees on the connection. */
async function startEcho(identity: LiveIdentity, more = {}) {
  const server = createServer(
    { ...identity.tls, requestCert: true, rejectUnauthorized: true, ...more },
    (incoming, response) => response.end(serialOf(incoming.socket as TLSSocket)),
  );
  identity.attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

function get(port: number, agent: HttpsAgent): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ host: "localhost", port, agent }, (response) => {
      response.setEncoding("utf8").once("data", resolve).once("error", reject);
    })
      .on("error", reject)
      .end();
  });
}

describe("a live identity", () => {
  test("an attached server shows the new certificate to new connections and drops none", async () => {
    const identity = await live();
    const { port } = await startEcho(identity);
    const open = connect({ ...identity.tls, host: "localhost", port });
    await once(open, "secureConnect");
    expect(serialOf(open)).toBe(first.certificate.serial);
    identity.adopt(second);
    const fresh = connect({ ...identity.tls, host: "localhost", port });
    await once(fresh, "secureConnect");
    expect(serialOf(fresh)).toBe(second.certificate.serial);
    open.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const [answer] = await once(open, "data");
    expect(String(answer)).toContain(first.certificate.serial);
    fresh.destroy();
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "an https.Agent made from its options long ago connects with the new one, over %s",
    async (maxVersion) => {
      const identity = await live();
      const { port } = await startEcho(identity, { maxVersion });
      const agent = new HttpsAgent({ ...identity.tls });
      expect(await get(port, agent)).toBe(first.certificate.serial);
      expect(await get(port, agent)).toBe(first.certificate.serial);
      identity.adopt(second);
      expect(await get(port, agent)).toBe(second.certificate.serial);
    },
  );

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "an agent does not resume a %s session that speaks for the old certificate",
    async (maxVersion) => {
      // A server of its own: one that changes its certificate forgets its sessions anyway.
      const { port } = await startEcho(await live(), { maxVersion });
      const identity = await live();
      for (const agent of [new HttpsAgent({ ...identity.tls }), identity.agent()]) {
        identity.adopt(first);
        expect(await get(port, agent)).toBe(first.certificate.serial);
        identity.adopt(second);
        expect(await get(port, agent)).toBe(second.certificate.serial);
        agent.destroy();
      }
    },
  );

  test("undici's Agent made from its options long ago connects with the new one", async () => {
    const identity = await live();
    const { port } = await startEcho(identity);
    const dispatcher = new UndiciAgent({ connect: identity.tls, keepAliveTimeout: 1 });
    onTestFinished(() => dispatcher.close());
    const ask = async () => {
      const { body } = await undiciRequest(`https://localhost:${port}/`, {
        dispatcher,
        reset: true,
      });
      return body.text();
    };
    expect(await ask()).toBe(first.certificate.serial);
    identity.adopt(second);
    expect(await ask()).toBe(second.certificate.serial);
  });

  test("its agent keeps connections, but none of the old certificate", async () => {
    const identity = await live();
    const { port, server } = await startEcho(identity);
    let connections = 0;
    server.on("secureConnection", () => connections++);
    const agent = identity.agent();
    onTestFinished(() => agent.destroy());
    await get(port, agent);
    await get(port, agent);
    expect(connections).toBe(1);
    const busy = get(port, agent);
    identity.adopt(second);
    expect(await busy).toBe(first.certificate.serial);
    expect(await get(port, agent)).toBe(second.certificate.serial);
    expect(await get(port, agent)).toBe(second.certificate.serial);
    expect(connections).toBe(2);
  });

  test("options of a server that are not the identity's survive the exchange", async () => {
    const identity = await live();
    const { port, server } = await startEcho(identity, { minVersion: "TLSv1.3" });
    identity.attach(server, { minVersion: "TLSv1.3" });
    identity.adopt(second);
    const old = connect({ host: "localhost", port, ca: authority.root, maxVersion: "TLSv1.2" });
    const [error] = await once(old, "error");
    expect(String((error as NodeJS.ErrnoException).code)).toMatch(/SSL|RESET/);
  });

  test("a failure is heard, or warned of when nobody listens", async () => {
    const identity = await live();
    const warned = once(process, "warning");
    identity.fail(new Error("no authority"), 1, new Date());
    expect(String((await warned)[0])).toContain("no authority");
    expect(identity.status()).toMatchObject({ failures: 1, state: "fine" });
    identity.on("failed", (error) => expect(error.message).toBe("again"));
    identity.fail(new Error("again"), 2, new Date());
    identity.adopt(second);
    expect(identity.status()).toMatchObject({ failures: 0, renewals: 1, lastError: undefined });
  });
});
