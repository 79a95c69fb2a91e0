/** Two issuers of one authority: each certificate keeps the chain, the CRL and the OCSP of its own. */

import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { issuerIdOf } from "../../src/authority/issuers.ts";
import type { IssuerFiles } from "../../src/config/compile.ts";
import { decodePem, encodePem } from "../../src/der/pem.ts";
import { parseCertificate } from "../../src/x509/certificate/read.ts";
import { parseCrl } from "../../src/x509/crl/read.ts";
import { certIdOf, encodeOcspRequest } from "../../src/x509/ocsp/encode.ts";
import { parseOcspResponse } from "../../src/x509/ocsp/read.ts";
import { type Holder, makeCsr, newKey } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const folder = mkdtempSync(join(tmpdir(), "issuers-"));
const names = { old: "CN=Example Internal CA", young: "CN=Second Issuing" };
type Which = keyof typeof names;
const both = ["old", "young"] as const;
/** From the second start on, this one issues and the first one retires. */
let second: IssuerFiles | undefined;
const leaves = {} as Record<Which, Holder & { serial: string; file: string }>;

const must = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr}`);
  return stdout;
};
const said = (...args: string[]) => {
  const { stdout, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" });
  return stdout + stderr;
};
/** openssl against the service, which lives in this very process and must go on meanwhile. */
const talk = async (...args: string[]) => {
  const ran = promisify(execFile)("openssl", args, { cwd: folder, timeout: 20_000 });
  ran.child.stdin?.end();
  const { stdout, stderr } = await ran.catch(
    (error) => error as { stdout: string; stderr: string },
  );
  return stdout + stderr;
};
const read = (pem: string) => {
  const [block] = decodePem(pem);
  const parsed = parseCertificate(block?.der ?? new Uint8Array());
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
};

async function enrol(which: Which) {
  const holder = await authority.enrol({ profile: "client", cn: which });
  const file = `${which}.pem`;
  writeFileSync(join(folder, file), holder.cert);
  writeFileSync(join(folder, `${which}.key`), holder.key);
  leaves[which] = { ...holder, file };
}

/** An issuing certificate under the authority's own root, as openssl makes one. */
function makeIssuer(name: string, organization = "Example"): IssuerFiles {
  const [root, rootKey] = ["root.crt", "root.key"].map((name) => join(authority.folder, name));
  const at = (name: string) => join(authority.folder, name);
  writeFileSync(
    join(folder, "ca.cnf"),
    "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
  );
  must(
    ..."req -new -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -out issuer.csr".split(" "),
    ...[
      "-keyout",
      at(`${name}.key`),
      "-subj",
      `/C=IN/ST=Karnataka/O=${organization}/CN=${name} Issuing`,
    ],
  );
  must(
    ..."x509 -req -in issuer.csr -days 100 -extfile ca.cnf".split(" "),
    ...["-CA", root!, "-CAkey", rootKey!, "-out", at(`${name}.crt`)],
  );
  return {
    certificate: at(`${name}.crt`),
    chain: at(`${name}.crt`),
    key: at(`${name}.key`),
  } as IssuerFiles;
}

const authority = useAuthority({
  compiled: (config) =>
    second === undefined ? config : { ...config, issuers: [second, ...config.issuers] },
});
beforeAll(async () => {
  writeFileSync(join(folder, "root.pem"), authority.root);
  await enrol("old");
  second = makeIssuer("Second");
  await authority.restart();
  await enrol("young");
  for (const which of both) {
    const { certificate } = issuerOf(which);
    writeFileSync(join(folder, `${which}-ca.pem`), encodePem("CERTIFICATE", certificate.der));
  }
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
});

const other = (which: Which): Which => (which === "old" ? "young" : "old");
function issuerOf(which: Which) {
  const { active, all } = authority.service.authority.issuers;
  const issuer = which === "young" ? active : all.find((one) => one !== active);
  if (issuer === undefined) throw new Error("there are not two issuers");
  return issuer;
}
/** The list that the certificate itself names. */
async function fetchCrl(which: Which): Promise<{ file: string; serials: string[] }> {
  const text = must("x509", "-in", leaves[which].file, "-noout", "-ext", "crlDistributionPoints");
  const url = /URI:(\S+)/.exec(text)?.[1] ?? "";
  expect(url).toContain(`/crl/${issuerOf(which).id}.crl`);
  const der = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const list = parseCrl(der);
  if (!list.ok) throw new Error(list.refusal.detail);
  const file = `${which}-crl.pem`;
  writeFileSync(join(folder, file), encodePem("X509 CRL", der));
  return { file, serials: list.value.entries.map((one) => one.serial) };
}
const verify = (leaf: Which, chainOf: Which, ...more: string[]) => {
  const chain = ["-CAfile", "root.pem", "-untrusted", `${chainOf}.pem`];
  return said("verify", "-x509_strict", ...chain, ...more, leaves[leaf].file);
};
const plain = () => `http://127.0.0.1:${authority.service.plainAddress?.port}/ocsp`;
const ocsp = (leaf: Which, issuer: Which) =>
  talk(
    ...["ocsp", "-issuer", `${issuer}-ca.pem`, "-cert", leaves[leaf].file, "-url", plain()],
    ...["-CAfile", "root.pem", "-no_nonce"],
  );
const as = () => authority.operator;

describe("with two issuers", () => {
  test("each certificate comes with the chain of its own issuer, in every form", async () => {
    for (const which of both) {
      const { serial, file } = leaves[which];
      const path = `/v1/certificates/${serial}`;
      const headers = { accept: "application/pem-certificate-chain" };
      const shown = await authority.call("GET", path, { as: as(), headers });
      expect(shown.text).toBe(readFileSync(join(folder, file), "utf8"));
      expect(verify(which, which)).toBe(`${file}: OK\n`);
      expect(verify(which, other(which))).toContain("unable to get local issuer certificate");
      const { json } = await authority.call("GET", path, { as: as() });
      expect(json.issuer).toContain(names[which]);
      expect(json.certificate + json.chain).toBe(shown.text);
    }
    const listed = await authority.call("GET", "/v1/certificates?include=pem&profile=client", {
      as: as(),
    });
    for (const which of both) {
      const { chain } = listed.json.items.find(
        (one: { serial: string }) => one.serial === leaves[which].serial,
      );
      expect(chain).toBe(issuerOf(which).intermediatesPem);
    }
  });

  test("the preview of a request names the active one", async () => {
    const token = await authority.mint({ profile: "client", cn: "seen" });
    const checked = await authority.call("POST", "/v1/certificates/check", {
      token,
      body: makeCsr({ key: newKey(), subject: "/C=IN/ST=Karnataka/O=Example/CN=seen" }),
      headers: { "content-type": "application/pkcs10" },
    });
    expect(checked.json.preview.issuer).toContain(names.young);
  });

  test("one profile under both issuers gives certificates of both, in turns", async () => {
    const { authority: issuing, config } = authority.service;
    const profile = config.profiles.get("client");
    if (profile === undefined) throw new Error("no profile");
    const csr = decodePem(makeCsr({ key: newKey() }))[0]?.der ?? new Uint8Array();
    const origin = { requestId: "test", address: undefined };
    const caller = { kind: "internal", ...origin, reason: "test" } as const;
    for (const which of [...both, ...both]) {
      const issuer = issuerOf(which);
      const issued = await issuing.issueOwn(csr, profile, caller, issuer);
      if (!issued.ok) throw new Error(issued.refusal.detail);
      expect(issued.value.certificate.issuerId).toBe(issuer.id);
      const pem = encodePem("CERTIFICATE", issued.value.der) + issuer.intermediatesPem;
      writeFileSync(join(folder, "turn.pem"), pem);
      const args = ["-CAfile", "root.pem", "-untrusted", "turn.pem", "turn.pem"];
      expect(said("verify", ...args)).toBe("turn.pem: OK\n");
    }
  });

  test("GET /v1/ca names both, the active one first, and serves each one's certificate", async () => {
    const { json } = await authority.call("GET", "/v1/ca");
    expect(json.issuers.map((one: { id: string }) => one.id)).toEqual([
      issuerOf("young").id,
      issuerOf("old").id,
    ]);
    expect(json.urls.crl).toContain(issuerOf("young").id);
    const chain = await authority.call("GET", "/v1/ca/chain");
    expect(chain.text).toBe(issuerOf("young").intermediatesPem + authority.root);
    for (const { id, certificate } of [issuerOf("young"), issuerOf("old")]) {
      const served = await authority.call("GET", `/issuers/${id}.crt`);
      expect(served.bytes.equals(certificate.der)).toBe(true);
    }
    const rootId = issuerIdOf(read(authority.root).spki);
    expect((await authority.call("GET", `/issuers/${rootId}.crt`)).status).toBe(200);
    const metrics = await authority.call("GET", "/metrics", { as: as() });
    for (const which of both) {
      expect(metrics.text).toContain(
        `countersign_ca_expiry_timestamp_seconds{certificate="issuing",issuer="${issuerOf(which).id}"} ${issuerOf(which).certificate.notAfter.getTime() / 1000}`,
      );
    }
    expect((await authority.call("GET", "/readyz")).status).toBe(200);
  });

  test("openssl ocsp gets a good answer that the certificate's own issuer vouches for", async () => {
    for (const which of both) {
      const answer = await ocsp(which, which);
      expect(answer).toContain("Response verify OK");
      expect(answer).toContain(`${leaves[which].file}: good`);
      // The other issuer never issued it, and its responder says so.
      expect(await ocsp(which, other(which))).toContain(`${leaves[which].file}: unknown`);
    }
  });

  test("one OCSP request about both is answered by the first one's issuer, for itself alone", async () => {
    for (const which of both) {
      const asked = [which, other(which)].map((one) =>
        certIdOf(issuerOf(one).certificate, leaves[one].serial, "sha256"),
      );
      const answer = await fetch(plain(), {
        method: "POST",
        headers: { "content-type": "application/ocsp-request" },
        body: Buffer.from(encodeOcspRequest({ certIds: asked })),
      });
      const parsed = parseOcspResponse(new Uint8Array(await answer.arrayBuffer()));
      if (!parsed.ok) throw new Error(parsed.refusal.detail);
      const { basic } = parsed.value;
      expect(basic?.responses.map((one) => one.certStatus.status)).toEqual(["good", "unknown"]);
      expect(Buffer.from(basic?.certificates[0]?.issuer.der ?? [])).toEqual(
        Buffer.from(issuerOf(which).certificate.subject.der),
      );
    }
  });

  test("the service itself is under the active one, and staples its status", async () => {
    const { port } = authority;
    const text = await talk(
      ...["s_client", "-connect", `localhost:${port}`, "-CAfile", "root.pem", "-status"],
    );
    expect(text).toMatch(/issuer=.*Second Issuing/);
    expect(text).toContain("Verify return code: 0 (ok)");
    expect(text).toContain("Cert Status: good");
    const keys = readdirSync(authority.folder).filter((name) => name.startsWith("ocsp"));
    expect(keys.sort()).toEqual([`ocsp-${issuerOf("old").id}.pem`, "ocsp.pem"]);
  });

  test("a certificate of the retiring one is renewed under the active one", async () => {
    const renewed = await authority.call("POST", "/v1/certificates/renew", {
      as: leaves.old,
      body: "",
      headers: { "content-type": "application/pkcs10" },
    });
    expect(renewed.status).toBe(201);
    writeFileSync(join(folder, "renewed.pem"), renewed.text);
    expect(renewed.text).toContain(issuerOf("young").intermediatesPem);
    const args = ["-CAfile", "root.pem", "-untrusted", "renewed.pem", "renewed.pem"];
    expect(said("verify", ...args)).toBe("renewed.pem: OK\n");
  });

  test("each CRL covers its own issuer's certificates: good, then revoked there alone", async () => {
    for (const which of both) {
      const { file, serials } = await fetchCrl(which);
      expect(serials).toEqual([]);
      const check = ["-crl_check", "-CRLfile", file];
      expect(verify(which, which, ...check)).toBe(`${leaves[which].file}: OK\n`);
      const mixed = verify(other(which), other(which), ...check);
      expect(mixed).toContain("unable to get certificate CRL");
    }
    for (const which of both) {
      const { serial, file } = leaves[which];
      const revoked = await authority.call("POST", `/v1/certificates/${serial}/revoke`, {
        as: as(),
        body: { reason: "superseded" },
      });
      expect(revoked.json.issuer).toContain(names[which]);
      expect((await fetchCrl(which)).serials).toEqual([serial]);
      const list = `${which}-crl.pem`;
      expect(verify(which, which, "-crl_check", "-CRLfile", list)).toContain("certificate revoked");
      const answer = await ocsp(which, which);
      expect(answer).toContain("Response verify OK");
      expect(answer).toContain(`${file}: revoked`);
    }
    // Each issuer has numbers of its own, and they go up.
    const before = await crlNumber("old");
    await authority.restart();
    expect(await crlNumber("old")).toBeGreaterThanOrEqual(before);
  });

  test("an issuer that is no longer here leaves its certificates on record, without a chain", async () => {
    const path = `/v1/certificates/${leaves.young.serial}`;
    second = makeIssuer("Third", "Another");
    await authority.restart();
    const { json } = await authority.call("GET", path, { as: as() });
    expect(json.chain).toBe("");
    expect(json.issuer).toMatch(/^[0-9a-f]{16}$/);
    const headers = { accept: "application/pem-certificate-chain" };
    const alone = await authority.call("GET", path, { as: as(), headers });
    expect(alone.text).toBe(json.certificate);
  });

  test("what the policy matches is the subject of the one that issues", async () => {
    const policy = await authority.call("GET", "/v1/policy");
    const { subject } = policy.json.profiles.find((one: { name: string }) => one.name === "client");
    expect(subject).toContainEqual({
      attribute: "organizationName",
      rule: "match",
      value: ["Another"],
    });
    const request = async (organization: string) =>
      authority.call("POST", "/v1/certificates", {
        token: await authority.mint({ profile: "client", cn: "web" }),
        body: makeCsr({ key: newKey(), subject: `/C=IN/ST=Karnataka/O=${organization}/CN=web` }),
        headers: { "content-type": "application/pkcs10" },
      });
    expect((await request("Another")).status).toBe(201);
    expect((await request("Example")).status).toBe(422);
  });
});

async function crlNumber(which: Which): Promise<bigint> {
  const { file } = await fetchCrl(which);
  const text = must("crl", "-in", file, "-noout", "-crlnumber");
  return BigInt(text.trim().replace(/^crlNumber=/, ""));
}
