import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { keySigner } from "../../../src/authority/signer/key-file.ts";
import { initialise } from "../../../src/ceremony/found.ts";
import { initialiseDefaults } from "../../../src/ceremony/founding.ts";
import { compileConfig } from "../../../src/config/compile.ts";
import { loadConfig } from "../../../src/config/load/load.ts";
import { openAuthority } from "../../../src/config/open-authority.ts";
import { encodePem } from "../../../src/der/pem.ts";
import { encodeRequest } from "../../../src/x509/csr/encode.ts";
import { verifySignatureOnPool } from "../../../src/x509/key/verify.ts";
import { makeName } from "../../../src/x509/name/read.ts";
import { openssl } from "../../helpers/x509-chain.ts";

const folders = mkdtempSync(join(tmpdir(), "countersign-keys-"));
afterAll(() => rmSync(folders, { recursive: true }));
const leafKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

const audit = {
  at: new Date(),
  requestId: "t",
  action: "revoke",
  verdict: "accepted",
  caller: "t",
  address: undefined,
  serial: undefined,
  csrSha256: undefined,
  code: undefined,
  detail: {},
} as const;

async function newAuthority(keyType: "P-384" | "P-521" | "RSA-2048" | "Ed25519") {
  const folder = join(folders, keyType);
  await initialise({ ...initialiseDefaults, folder, keyType });
  return folder;
}

async function open(folder: string, signatureAlgorithm: string | undefined) {
  const flags: Record<string, string> =
    signatureAlgorithm === undefined ? {} : { "issuer.signatureAlgorithm": signatureAlgorithm };
  const loaded = loadConfig({ dataDir: folder, env: {}, flags });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.refusal));
  const config = compileConfig(loaded.value);
  if (!config.ok) throw new Error(JSON.stringify(config.refusal));
  const alarm = (text: string) => console.error(text);
  return {
    config: config.value,
    ...(await openAuthority(config.value, { alarm, exclusive: true })),
  };
}

/** Issues a certificate and a CRL; gives what openssl says to both together. */
async function judged(folder: string, signatureAlgorithm: string | undefined) {
  const { authority, config, store, crls } = await open(folder, signatureAlgorithm);
  try {
    const issuer = authority.issuers.active;
    const subject = makeName([
      { type: "C", value: "IN" },
      { type: "ST", value: "Karnataka" },
      { type: "O", value: "Example" },
      { type: "CN", value: "web" },
    ]);
    const csr = encodeRequest({ subject, subjectAltNames: [], privateKey: leafKey });
    const profile = config.profiles.get("client");
    if (profile === undefined) throw new Error("no profile");
    const caller = { kind: "internal", requestId: "t", address: undefined, reason: "t" } as const;
    const [leaf, ended] = [
      await authority.issueOwn(csr, profile, caller),
      await authority.issueOwn(csr, profile, caller),
    ];
    if (!leaf.ok || !ended.ok) throw new Error("not issued");
    const { serial } = ended.value.certificate;
    await store.revoke(issuer.id, serial, { at: new Date(), reason: "superseded", by: "t" }, audit);
    const crl = await crls.byIssuer(issuer.id)?.current();
    if (crl === undefined) throw new Error("no list");
    const files = {
      "leaf.pem": encodePem("CERTIFICATE", leaf.value.der),
      "ended.pem": encodePem("CERTIFICATE", ended.value.der),
      "crl.pem": encodePem("X509 CRL", crl.der),
      "root.pem": readFileSync(join(folder, "root.crt")),
      "issuing.pem": readFileSync(join(folder, "issuing.crt")),
    };
    const chain = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "crl.pem"];
    const verify = (file: string) =>
      openssl(["verify", "-x509_strict", "-crl_check", ...chain, file], files).output;
    const show = ["-noout", "-text"];
    const algorithmOf = (...args: string[]) =>
      /Signature Algorithm: (\S+)[\s\S]*?(?:Hash Algorithm: (\S+))?/.exec(
        openssl([...args, ...show], files).output,
      )?.[1];
    return {
      verified: verify("leaf.pem"),
      revoked: verify("ended.pem").includes("certificate revoked"),
      leaf: algorithmOf("x509", "-in", "leaf.pem"),
      crl: algorithmOf("crl", "-in", "crl.pem"),
    };
  } finally {
    await store.close();
  }
}

describe("an issuing key", () => {
  const cases = [
    ["P-384", [[undefined, "ecdsa-with-SHA384"]]],
    ["P-521", [[undefined, "ecdsa-with-SHA512"]]],
    ["Ed25519", [[undefined, "ED25519"]]],
    [
      "RSA-2048",
      [
        [undefined, "sha256WithRSAEncryption"],
        ["sha384WithRSAEncryption", "sha384WithRSAEncryption"],
        ["sha512WithRSAEncryption", "sha512WithRSAEncryption"],
        ["rsassaPss-SHA256", "rsassaPss"],
        ["rsassaPss-SHA384", "rsassaPss"],
        ["rsassaPss-SHA512", "rsassaPss"],
      ],
    ],
  ] as const;
  test.each(cases)(
    "of %s issues and revokes what openssl verifies strictly",
    async (keyType, ways) => {
      const folder = await newAuthority(keyType);
      for (const [algorithm, shown] of ways) {
        const verdict = await judged(folder, algorithm);
        expect([algorithm, verdict]).toEqual([
          algorithm,
          { verified: "leaf.pem: OK\n", revoked: true, leaf: shown, crl: shown },
        ]);
      }
    },
  );

  test("that cannot sign as the configuration wants stops the start, in one sentence", async () => {
    const folder = await newAuthority("P-384").catch(() => join(folders, "P-384"));
    await expect(open(folder, "rsassaPss-SHA256")).rejects.toThrow(
      /^issuer\.signatureAlgorithm: the issuing key \(P-384\) cannot sign with rsassaPss-SHA256$/,
    );
  });
});

describe("signing", () => {
  const done = async (key: KeyObject) => {
    const signer = keySigner(key);
    let finished = false;
    const signature = Promise.resolve(signer.sign(new Uint8Array(600))).then((bytes) => {
      finished = true;
      return bytes;
    });
    // What the thread pool does is heard of in a later turn of the loop, however fast it was.
    for (let microtasks = 0; microtasks < 50; microtasks++) await undefined;
    const before = finished;
    const { algorithm, publicKey } = signer;
    const made = await verifySignatureOnPool(
      algorithm,
      new Uint8Array(600),
      await signature,
      publicKey,
    );
    expect(made).toBe(true);
    return before;
  };

  test("with a slow key leaves the event loop free, with a fast one it is done at once", async () => {
    // One of 4096 bits signs for 4 ms; to make it takes seconds, and all of RSA goes the same way.
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    expect(await done(rsa)).toBe(false);
    expect(await done(generateKeyPairSync("ec", { namedCurve: "P-521" }).privateKey)).toBe(false);
    expect(await done(leafKey)).toBe(true);
  });
});
