import { once } from "node:events";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";
import Fastify from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import { enroll } from "../../../../src/client/enroll.ts";
import type { Identity } from "../../../../src/client/identity/identity.ts";
import { LiveIdentity } from "../../../../src/client/identity/live-identity.ts";
import { identityFolder } from "../../../helpers/identity-folder.ts";
import { useAuthority } from "../../../helpers/use-authority.ts";

const authority = useAuthority();
let made: readonly Identity[] = [];
const live = async () => {
  if (made.length === 0) made = [await enrolled(), await enrolled()];
  const [first, second] = made as [Identity, Identity];
  return { first, second, identity: new LiveIdentity(first, async () => {}) };
};
async function enrolled(): Promise<Identity> {
  const token = await authority.mint({ profile: "peer", cn: "web", sans: ["dns:localhost"] });
  return (await enroll({ dir: identityFolder(), token })).identity;
}

describe("perCertificate", () => {
  test("ends the old value when its last use has ended, and gives later uses a new one", async () => {
    const { identity, second } = await live();
    let count = 0;
    const ended: number[] = [];
    const kept = identity.perCertificate(
      () => ++count,
      (old) => ended.push(old),
    );
    const [one, two] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const uses = [one, two].map(({ promise }) =>
      kept.use(async (value) => {
        await promise;
        return value;
      }),
    );
    identity.adopt(second);
    expect(await kept.use((value) => value)).toBe(2);
    one.resolve();
    expect(await uses[0]).toBe(1);
    expect(ended).toEqual([]);
    two.reject(new Error("a request failed"));
    await expect(uses[1]).rejects.toThrow("a request failed");
    expect(ended).toEqual([1]);
    kept.close();
    expect(ended).toEqual([1, 2]);
    identity.adopt(second);
    expect(ended).toEqual([1, 2]);
    expect(count).toBe(2);
  });

  test("warns when the old value cannot be ended", async () => {
    const { identity, second } = await live();
    const kept = identity.perCertificate(
      () => "session",
      () => Promise.reject(new Error("no such session")),
    );
    await kept.use(() => {});
    const warned = once(process, "warning");
    identity.adopt(second);
    expect(String((await warned)[0])).toContain("no such session");
  });
});

describe("certificateProvider", () => {
  test("tells each listener what holds now and each renewal, until it is removed", async () => {
    const { identity, first, second } = await live();
    const provider = identity.certificateProvider();
    const told: string[] = [];
    const onCa = (update: { caCertificate: Buffer } | null) =>
      told.push(`${update?.caCertificate}`);
    const onIdentity = (update: { certificate: Buffer; privateKey: Buffer } | null) =>
      told.push(`${update?.privateKey}${update?.certificate}`);
    provider.addCaCertificateListener(onCa);
    provider.addIdentityCertificateListener(onIdentity);
    // gRPC is not ready for an answer before it has returned from these calls.
    expect(told).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    const said = ({ set }: Identity) => [set.root, set.key + set.fullchain];
    expect(told).toEqual(said(first));
    identity.adopt(second);
    expect(told).toEqual([...said(first), ...said(second)]);
    provider.removeCaCertificateListener(onCa);
    identity.adopt(first);
    expect(told.slice(4)).toEqual(said(first).slice(1));
    provider.removeIdentityCertificateListener(onIdentity);
    identity.adopt(second);
    expect(told).toHaveLength(5);
  });
});

describe("serverFactory", () => {
  test("gives Fastify a server that follows renewals and has its time limits", async () => {
    const { identity, second } = await live();
    const app = Fastify<Server>({
      serverFactory: identity.serverFactory({ minVersion: "TLSv1.3" }),
      keepAliveTimeout: 1234,
      requestTimeout: 2345,
      connectionTimeout: 3456,
    });
    onTestFinished(() => app.close());
    await app.listen({ port: 0 });
    const { keepAliveTimeout, requestTimeout, timeout } = app.server;
    expect([keepAliveTimeout, requestTimeout, timeout]).toEqual([1234, 2345, 3456]);
    identity.adopt(second);
    const { port } = app.server.address() as AddressInfo;
    const socket = connect({ host: "localhost", port, ca: authority.root });
    await once(socket, "secureConnect");
    expect(socket.getPeerX509Certificate()?.serialNumber.toLowerCase()).toBe(
      second.certificate.serial,
    );
    socket.destroy();
    const old = connect({ host: "localhost", port, ca: authority.root, maxVersion: "TLSv1.2" });
    const [error] = await once(old, "error");
    expect(String((error as NodeJS.ErrnoException).code)).toMatch(/SSL|RESET/);
  });
});
