/** A CA whose index has serial numbers that RFC 5280 4.1.2.2 does not allow: zero, and 21 octets. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { issuerIdOf } from "../../src/authority/issuers.ts";
import { parseCertificateChain } from "../../src/x509/certificate/read.ts";
import { countersign, makeOpensslCa, type OpensslCa, openFolder } from "../helpers/openssl-ca.ts";
import { type ServedFolder, serveFolder } from "../helpers/serve-folder.ts";

const subject = "/C=IN/ST=Karnataka/O=Example";
/** The INTEGER of the two long ones needs a 21st octet for its sign. */
const serials = {
  zero: "00",
  long: `FF${"00".repeat(18)}01`,
  living: `80${"00".repeat(18)}01`,
  usual: "1000",
};
type Name = keyof typeof serials;
const names = Object.keys(serials) as Name[];

describe("a CA with odd serial numbers moves in", () => {
  let ca: OpensslCa;
  let served: ServedFolder;
  let told: Awaited<ReturnType<typeof countersign>>;

  beforeAll(async () => {
    ca = makeOpensslCa();
    for (const name of names) {
      ca.write("serial", `${serials[name]}\n`);
      ca.request(name, `${subject}/CN=${name}`);
      ca.sign(name);
      const revoke = ["ca", "-config", "openssl.cnf", "-revoke", `${name}.crt`];
      if (name !== "living") ca.openssl(...revoke, "-crl_reason", "keyCompromise");
    }
    const from = ["--config", ca.path("openssl.cnf")];
    told = await countersign("import", "openssl", ...from, "--data", ca.path("data"));
    served = await serveFolder(ca.path("data"));
  }, 60_000);
  afterAll(async () => {
    await served?.stop();
    ca?.remove();
  });

  const revokedInList = async () => {
    const issuer = parseCertificateChain(ca.read("cacert.pem"));
    const id = issuer.ok ? issuerIdOf(issuer.value[0]?.spki ?? new Uint8Array()) : "";
    ca.write("list.pem", (await served.call("GET", `/crl/${id}.pem`)).text);
    const text = ca.openssl("crl", "-in", "list.pem", "-noout", "-text");
    expect(ca.attempt("crl", "-in", "list.pem", "-noout", "-CAfile", "cacert.pem").said).toContain(
      "verify OK",
    );
    return [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, serial]) => serial).sort();
  };

  test("and is told of them", () => {
    expect(told.status, told.said).toBe(0);
    expect(told.said).toContain(
      "3 certificates have serial numbers that RFC 5280 4.1.2.2 does not allow",
    );
  });

  test("and openssl reads every revocation in the CRL, also a new one", async () => {
    const { zero, long, usual, living } = serials;
    expect(await revokedInList()).toEqual([zero, long, usual].sort());
    const answer = await served.call("POST", `/v1/certificates/${living}/revoke`, {
      as: served.operator,
      body: { reason: "superseded" },
    });
    expect(answer.status, answer.text).toBe(200);
    expect(await revokedInList()).toEqual([zero, long, usual, living].sort());
  });

  test.each(names)("and openssl ocsp is told that the %s one is revoked", async (name) => {
    const about = (await served.call("GET", "/v1/ca")).text;
    const http = /http:\/\/localhost:\d+/.exec(about)?.[0];
    const asked = ["-issuer", "cacert.pem", "-CAfile", "cacert.pem", "-cert", `${name}.crt`];
    const { stdout } = await promisify(execFile)(
      "openssl",
      ["ocsp", "-url", `${http}/ocsp`, ...asked, "-no_nonce"],
      { cwd: ca.folder },
    );
    expect(stdout).toContain(`${name}.crt: revoked`);
  });

  test("and each is found by its serial and stands in the index as openssl wrote it", async () => {
    for (const name of names) {
      const as = served.operator;
      const one = await served.call("GET", `/v1/certificates/${serials[name]}`, { as });
      expect(one.json.serial).toBe(serials[name].toLowerCase());
      const found = await served.call("GET", `/v1/certificates?serial=${serials[name]}`, { as });
      expect(found.json.items).toHaveLength(1);
    }
    const examined = await countersign("doctor", "--data", ca.path("data"));
    expect(examined.status, examined.said).toBe(0);
  });

  test("and openssl ca goes on with what is handed back", async () => {
    const out = openFolder(ca.path("out"));
    const args = [out.folder, "--data", ca.path("data"), "--with-key"];
    const handed = await countersign("export", "openssl", ...args);
    expect(handed.status, handed.said).toBe(0);
    out.openssl("ca", "-config", "openssl.cnf", "-gencrl", "-out", "next.pem");
    const text = out.openssl("crl", "-in", "next.pem", "-noout", "-text");
    for (const serial of Object.values(serials)) expect(text).toContain(`Serial Number: ${serial}`);
  });
});
