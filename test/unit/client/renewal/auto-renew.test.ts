import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import * as client from "../../../../src/client/index.ts";
import { startAuthority } from "../../../helpers/authority.ts";
import { identityFolder, opensslAccepts } from "../../../helpers/identity-folder.ts";
import { useAuthority } from "../../../helpers/use-authority.ts";

const { autoRenew, ClientError, enroll, renew } = client;

const authority = useAuthority({
  config: (yaml) => {
    yaml["backdate"] = "0s";
  },
});

const terms = { profile: "peer", cn: "web", sans: ["dns:localhost"] };
const start = async (options: client.AutoRenewOptions) => {
  const identity = await autoRenew(options);
  onTestFinished(() => identity.close());
  return identity;
};

describe("autoRenew", () => {
  test("enrols into an empty folder and says where it stands", async () => {
    const dir = identityFolder();
    const identity = await start({ dir, token: await authority.mint(terms) });
    opensslAccepts(dir);
    expect(identity.status()).toMatchObject({ state: "fine", renewals: 0, failures: 0 });
    expect(identity.status().subjectAltNames).toEqual(["dns:localhost"]);
  });

  test("renews by itself, tells onRenew after it happened, and survives a listener that throws", async () => {
    const dir = identityFolder();
    const seen: string[] = [];
    const identity = await start({
      dir,
      token: await authority.mint(terms),
      validity: "4s",
      rekey: true,
      onRenew: (status) => {
        seen.push(status.serial);
        throw new Error("a fault in the service");
      },
    });
    const before = identity.tls.key;
    const failures: string[] = [];
    identity.on("failed", (error) => failures.push(error.message));
    await once(identity, "renewed");
    expect(identity.status().serial).toBe(seen[0]);
    expect(identity.tls.key).not.toBe(before);
    await once(identity, "renewed");
    expect(identity.status().renewals).toBe(2);
    expect(failures).toContain("a fault in the service");
  });

  test("starts with what is on disk while the authority is away, keeps trying, and says so", async () => {
    const own = await startAuthority({
      config: (yaml) => {
        yaml["backdate"] = "0s";
      },
    });
    onTestFinished(() => own.stop());
    const dir = identityFolder();
    await enroll({ dir, token: await own.mint(terms), validity: "8s" });
    await own.service.stop();
    const before = performance.now();
    const identity = await start({ dir });
    expect(performance.now() - before).toBeLessThan(1000);
    const [error] = await once(identity, "failed");
    expect(error).toMatchObject({ code: "unreachable" });
    expect(identity.status()).toMatchObject({ failures: 1, state: "due" });
    expect(identity.status().nextAttempt).toBeInstanceOf(Date);
    await own.restart();
    await once(identity, "renewed");
    expect(identity.status()).toMatchObject({ failures: 0, lastError: undefined });
  });

  test("without a certificate and without an authority fails after the set time with a clear error", async () => {
    const before = performance.now();
    const failing = autoRenew({
      dir: identityFolder(),
      url: "https://localhost:1",
      token: await authority.mint(terms),
      firstStartTimeoutMs: 1500,
    });
    await expect(failing).rejects.toMatchObject({ code: "unreachable" });
    await expect(failing).rejects.toThrow(
      /No usable certificate in .*, and none could be had in 1\.5/,
    );
    expect(performance.now() - before).toBeLessThan(4000);
  });

  test("fails at once when trying again cannot help, and waits for a token that is written late", async () => {
    const before = performance.now();
    const refused = autoRenew({
      dir: identityFolder(),
      token: await authority.mint(terms),
      san: ["dns:else.example.test"],
    });
    await expect(refused).rejects.toMatchObject({ code: "policy-violation", status: 422 });
    expect(performance.now() - before).toBeLessThan(2000);
    const dir = identityFolder();
    const file = `${dir}.token`;
    const token = await authority.mint(terms);
    setTimeout(() => writeFileSync(file, token), 300);
    const identity = await start({ dir, url: authority.url, token: { file } });
    expect(identity.status().state).toBe("fine");
  });

  test("notices what another process renewed in its folder", async () => {
    const dir = identityFolder();
    const identity = await start({ dir, token: await authority.mint(terms), validity: "60s" });
    const { identity: other } = await renew({ dir, force: true });
    const [status] = await once(identity, "renewed");
    expect(status.serial).toBe(other.certificate.serial);
  });

  test("after close renews no more", async () => {
    const dir = identityFolder();
    const token = await authority.mint(terms);
    const identity = await autoRenew({ dir, token, validity: "3s" });
    await identity.close();
    const { serial } = identity.status();
    await new Promise((resolve) => setTimeout(resolve, 3200));
    expect(client.loadIdentity(dir)?.certificate.serial).toBe(serial);
    expect(identity.status().state).toBe("expired");
  });
});

describe("countersign/client", () => {
  test("exports exactly what its documentation speaks of", () => {
    expect(Object.keys(client).sort()).toEqual([
      "ClientError",
      "autoRenew",
      "enroll",
      "keyTypes",
      "loadIdentity",
      "pemBundle",
      "pkcs12Bundle",
      "renew",
      "revocationGuard",
      "standingOf",
    ]);
    expect(new ClientError("unreachable", "away").cure).toContain("/healthz");
  });
});
