import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { enroll } from "../../../src/client/enroll.ts";
import { identityFolder, opensslAccepts } from "../../helpers/identity-folder.ts";
import { useAuthority } from "../../helpers/use-authority.ts";

/** The keys of a cluster, and an authority that trusts them. */
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const issuer = "https://kubernetes.default.svc";
const audience = "https://ca.example.test:8443";
const jwk = { ...(await exportJWK(publicKey)), kid: "cluster", alg: "RS256", use: "sig" };
const authority = useAuthority({
  config: (yaml) => {
    yaml["tokens"] = { issuers: [{ issuer, audience, jwks: "jwks.json", profile: "peer" }] };
  },
  beforeStart: (folder) =>
    writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [jwk] })),
});

/** As the kubelet projects it, with a new `jti` each time. */
function projectedToken(jti: string): Promise<string> {
  return new SignJWT({ "kubernetes.io": { namespace: "shop", serviceaccount: { name: "web" } } })
    .setProtectedHeader({ alg: "RS256", kid: "cluster" })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject("system:serviceaccount:shop:web")
    .setJti(jti)
    .setIssuedAt()
    .setNotBefore("0s")
    .setExpirationTime("10m")
    .sign(privateKey);
}

describe("a projected service account token", () => {
  test("enrols from its file like a token of the authority, with a root to trust", async () => {
    const dir = identityFolder();
    const file = `${dir}.token`;
    writeFileSync(file, await projectedToken("one"));
    const { identity } = await enroll({
      dir,
      url: authority.url,
      root: authority.root,
      token: { file },
    });
    opensslAccepts(dir);
    expect(identity.record.tokenSource).toEqual({ file });
  });
});
