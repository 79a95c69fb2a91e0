import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { enroll } from "../../../src/client/enroll.ts";
import {
  type Identity,
  loadIdentity,
  saveIdentity,
} from "../../../src/client/identity/identity.ts";
import { startAuthority } from "../../helpers/authority.ts";
import { identityFolder, opensslAccepts } from "../../helpers/identity-folder.ts";
import { useAuthority } from "../../helpers/use-authority.ts";

const authority = useAuthority();

const web = { profile: "peer", cn: "web", sans: ["dns:web.example.test", "ip:10.0.0.1"] };

/** Writes an identity and crashes before its nth step. */
function saveUntilCrash(dir: string, identity: Identity, nth: number): void {
  let count = 0;
  try {
    saveIdentity(dir, identity, () => {
      if (++count === nth) throw new Error("crash");
    });
  } catch (error) {
    expect((error as Error).message).toBe("crash");
  }
}

async function certificatesNamed(cn: string): Promise<number> {
  const found = await authority.call("GET", `/v1/certificates?subject=${cn}`, {
    as: authority.operator,
  });
  return found.json.items.length;
}

describe("the enrolment", () => {
  test("needs only a token and a folder: names, profile, URL and trust come from the token", async () => {
    const dir = identityFolder();
    const { enrolled, identity } = await enroll({ dir, token: await authority.mint(web) });
    expect(enrolled).toBe(true);
    opensslAccepts(dir);
    const certificate = new X509Certificate(readFileSync(join(dir, "certificate.pem")));
    expect(certificate.subject).toBe("C=IN\nST=Karnataka\nO=Example\nCN=web");
    expect(certificate.subjectAltName).toBe("DNS:web.example.test, IP Address:10.0.0.1");
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    expect(readFileSync(join(dir, "root.pem"), "utf8")).toBe(authority.root);
    expect(identity.record).toMatchObject({ url: authority.url, via: "enrolment" });
  });

  test("keeps the key at 0600, sends it to nobody, and writes no token to disk", async () => {
    const dir = identityFolder();
    const token = await authority.mint(web);
    await enroll({ dir, token });
    expect(statSync(join(dir, "key.pem")).mode & 0o777).toBe(0o600);
    const everything = readdirSync(join(dir, "current"))
      .map((file) => readFileSync(join(dir, "current", file), "utf8"))
      .join("");
    expect(everything).not.toContain(token);
    expect(existsSync(join(dir, "pending-key.pem"))).toBe(false);
  });

  test("run again with a good certificate in place does nothing, without using the token", async () => {
    const dir = identityFolder();
    const first = await enroll({ dir, token: await authority.mint({ ...web, cn: "again" }) });
    const again = await enroll({
      dir,
      token: () => {
        throw new Error("the token was asked for");
      },
    });
    expect(again.enrolled).toBe(false);
    expect(again.identity.certificate.serial).toBe(first.identity.certificate.serial);
    expect(await certificatesNamed("again")).toBe(1);
  });

  test("interrupted after the answer and repeated with the same token gives the same certificate", async () => {
    const dir = identityFolder();
    const token = await authority.mint({ ...web, cn: "interrupted" });
    const other = identityFolder();
    await enroll({ dir: other, token });
    // What a crash before the last step leaves: the pending key, and nothing else.
    mkdirSync(dir);
    writeFileSync(join(dir, "pending-key.pem"), readFileSync(join(other, "key.pem")));
    const repeated = await enroll({ dir, token });
    const serial = loadIdentity(other)?.certificate.serial;
    expect(repeated.identity.certificate.serial).toBe(serial);
    expect(await certificatesNamed("interrupted")).toBe(1);
  });

  test.each(["P-384", "RSA-2048", "Ed25519"] as const)(
    "makes a key of type %s",
    async (keyType) => {
      const dir = identityFolder();
      await enroll({ dir, keyType, token: await authority.mint(web) });
      opensslAccepts(dir);
      expect(loadIdentity(dir)?.record.keyType).toBe(keyType);
    },
  );

  test("subject, cn and names that were asked for go into the request", async () => {
    const dir = identityFolder();
    const { identity } = await enroll({
      dir,
      token: await authority.mint({ profile: "peer", sans: web.sans }),
      subject: "/C=IN/ST=Karnataka/O=Example/OU=Shop/CN=asked",
      san: ["dns:web.example.test"],
      validity: "1h",
    });
    const { certificate } = identity;
    expect(certificate.subjectAltNames).toEqual([{ kind: "dns", value: "web.example.test" }]);
    expect(new X509Certificate(certificate.der).subject).toContain("OU=Shop");
    expect(certificate.notAfter.getTime() - Date.now()).toBeLessThan(3600_000);
  });

  test("a refusal by policy arrives with every violation", async () => {
    const dir = identityFolder();
    const refused = enroll({
      dir,
      token: await authority.mint({ profile: "peer", cn: "web" }),
      san: ["dns:else.example.test"],
    });
    await expect(refused).rejects.toMatchObject({ code: "policy-violation", status: 422 });
    await expect(refused).rejects.toHaveProperty(["violations", 0, "field"], "subjectAltName[0]");
    expect(existsSync(join(dir, "key.pem"))).toBe(false);
  });

  test("a key that somebody else put there is left alone", async () => {
    const dir = identityFolder();
    mkdirSync(dir);
    writeFileSync(join(dir, "key.pem"), "not ours");
    await expect(enroll({ dir, token: await authority.mint(web) })).rejects.toMatchObject({
      code: "bad-folder",
    });
    expect(readFileSync(join(dir, "key.pem"), "utf8")).toBe("not ours");
  });

  test("an authority that cannot be reached fails after the set time with a clear error", async () => {
    const before = performance.now();
    const failed = enroll({
      dir: identityFolder(),
      url: "https://localhost:1",
      token: await authority.mint(web),
      patienceMs: 1500,
    });
    await expect(failed).rejects.toMatchObject({ code: "unreachable" });
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

describe("trust", () => {
  test("a stranger with another root is refused and never sees the token", async () => {
    const seen: string[] = [];
    const stranger = await startStranger((request) => {
      seen.push(`${request.method} ${request.url} ${request.headers["authorization"] ?? ""}`);
    });
    const token = await authority.mint(web);
    await expect(enroll({ dir: identityFolder(), url: stranger, token })).rejects.toMatchObject({
      code: "untrusted",
    });
    expect(seen).toEqual(["GET /v1/ca/root "]);
  });

  test("a stranger that relays the right root is refused by TLS before the token is sent", async () => {
    const seen: string[] = [];
    const stranger = await startStranger((request) => {
      seen.push(`${request.method} ${request.url}`);
    }, authority.root);
    const token = await authority.mint(web);
    await expect(enroll({ dir: identityFolder(), url: stranger, token })).rejects.toMatchObject({
      code: "untrusted",
    });
    expect(seen).toEqual(["GET /v1/ca/root"]);
  });

  test("a token without fingerprint needs the root or its SHA-256", async () => {
    const foreign = `${b64({ alg: "ES256" })}.${b64({ sub: "web", iss: "https://other" })}.AAAA`;
    const dir = identityFolder();
    const { url } = authority;
    const enrolling = enroll({ dir, url, token: foreign });
    await expect(enrolling).rejects.toMatchObject({ code: "untrusted" });
    const rootSha256 = createHash("sha256")
      .update(new X509Certificate(authority.root).raw)
      .digest("hex");
    // Now trusted, so that the authority itself refuses the foreign token.
    for (const known of [{ root: authority.root }, { rootSha256 }]) {
      await expect(enroll({ dir, url, token: foreign, ...known })).rejects.toMatchObject({
        code: "invalid-token",
      });
    }
  });

  async function startStranger(
    saw: (request: import("node:http").IncomingMessage) => void,
    root = authority.root,
  ): Promise<string> {
    const other = await startAuthority();
    onTestFinished(() => other.stop());
    const { cert, key } = await other.enrol({ profile: "server", sans: ["dns:localhost"] });
    const server = createServer({ cert, key }, (request, response) => {
      saw(request);
      response.end(root === authority.root && saw.length === 2 ? root : other.root);
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `https://localhost:${(server.address() as AddressInfo).port}`;
  }
});

describe("the folder", () => {
  test("a crash before any step leaves the old identity or the new one, whole", async () => {
    const dir = identityFolder();
    const first = await enroll({ dir, token: await authority.mint(web) });
    const second = await enroll({
      dir: identityFolder(),
      token: await authority.mint({ ...web, cn: "second" }),
    });
    const steps: string[] = [];
    saveIdentity(identityFolder(), second.identity, (what) => steps.push(what));
    expect(steps.length).toBeGreaterThan(10);
    for (let nth = 1; nth <= steps.length; nth++) {
      saveIdentity(dir, first.identity);
      saveUntilCrash(dir, second.identity, nth);
      opensslAccepts(dir);
      const serial = loadIdentity(dir)?.certificate.serial;
      expect([first, second].map((one) => one.identity.certificate.serial)).toContain(serial);
    }
    saveIdentity(dir, second.identity);
    expect(readdirSync(join(dir, "generations"))).toHaveLength(2);
  });

  test("a crash during the very first write leaves nothing, and the next attempt a whole set", async () => {
    const made = await enroll({ dir: identityFolder(), token: await authority.mint(web) });
    for (let nth = 1; nth <= 16; nth++) {
      const dir = identityFolder();
      saveUntilCrash(dir, made.identity, nth);
      const found = loadIdentity(dir)?.certificate.serial;
      expect([undefined, made.identity.certificate.serial]).toContain(found);
      saveIdentity(dir, made.identity);
      opensslAccepts(dir);
    }
  });

  test("an identity whose key does not fit its certificate is refused", async () => {
    const dir = identityFolder();
    await enroll({ dir, token: await authority.mint(web) });
    const other = identityFolder();
    await enroll({ dir: other, token: await authority.mint(web) });
    writeFileSync(join(dir, "key.pem"), readFileSync(join(other, "key.pem")));
    expect(() => loadIdentity(dir)).toThrow(/another key/);
  });
});

function b64(value: object): string {
  return Buffer.from(JSON.stringify({ ...value, jti: randomBytes(4).toString("hex") })).toString(
    "base64url",
  );
}
