import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { parseCertificate } from "../../src/x509/certificate/read.ts";
import { parseCrl } from "../../src/x509/crl/read.ts";
import { certIdOf, encodeOcspRequest } from "../../src/x509/ocsp/encode.ts";
import { parseOcspResponse } from "../../src/x509/ocsp/read.ts";
import type { Holder } from "../helpers/authority.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let plain: string;
let crlUrl: string;
let offset = 0;
const folder = mkdtempSync(join(tmpdir(), "revocation-"));
const openssl = (...args: string[]) =>
  execFileSync("sh", ["-c", `openssl ${args.join(" ")} 2>&1 || true`], {
    cwd: folder,
    encoding: "utf8",
  });

const run = promisify(execFile);
/** A program that talks to the service, which lives in this very process. */
const talk = async (line: string) =>
  (await run("sh", ["-c", `${line} 2>&1 || true`], { cwd: folder, timeout: 20_000 })).stdout;

const authority = useAuthority({ clock: () => new Date(Date.now() + offset) });
beforeAll(async () => {
  const { plainAddress } = authority.service;
  const issuer = authority.service.authority.issuers.active;
  plain = `http://127.0.0.1:${plainAddress?.port}`;
  crlUrl = `${plain}/crl/${issuer.id}`;
  writeFileSync(join(folder, "root.pem"), authority.root);
  const issuing = readFileSync(join(authority.folder, "issuing.crt"), "utf8");
  writeFileSync(join(folder, "both.pem"), authority.root + issuing);
  writeFileSync(join(folder, "issuing.pem"), readFileSync(join(authority.folder, "issuing.crt")));
});

const bytes = async (url: string) => new Uint8Array(await (await fetch(url)).arrayBuffer());
async function crl() {
  const parsed = parseCrl(await bytes(`${crlUrl}.crl`));
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
}
const revoke = (serial: string, reason: string) =>
  authority.call("POST", `/v1/certificates/${serial}/revoke`, {
    as: authority.operator,
    body: { reason },
  });
async function enrol(cn: string): Promise<Holder & { serial: string; file: string }> {
  const holder = await authority.enrol({ cn });
  writeFileSync(join(folder, `${cn}.pem`), holder.cert);
  return { ...holder, file: `${cn}.pem` };
}
async function verify(file: string): Promise<string> {
  writeFileSync(join(folder, "crl.pem"), await (await fetch(`${crlUrl}.pem`)).text());
  return openssl(
    "verify",
    "-crl_check",
    "-CAfile root.pem -untrusted issuing.pem -CRLfile crl.pem",
    file,
  );
}

describe("the CRL", () => {
  test("verifies with openssl empty, with one and with many entries", async () => {
    const [good, one] = [await enrol("good"), await enrol("one")];
    expect(await verify(good.file)).toContain("good.pem: OK");
    expect((await crl()).entries).toHaveLength(0);
    await revoke(one.serial, "keyCompromise");
    expect(await verify(one.file)).toContain("certificate revoked");
    expect(await verify(good.file)).toContain("good.pem: OK");
    const many = await Promise.all(
      Array.from({ length: 30 }, (_, i) => authority.enrol({ cn: `many-${i}` })),
    );
    for (const { serial } of many) await revoke(serial, "superseded");
    expect((await crl()).entries).toHaveLength(31);
    expect(await verify(good.file)).toContain("good.pem: OK");
    const text = openssl("crl -in crl.pem -noout -text");
    expect(text).toContain("Version 2");
    expect(text).toContain("Key Compromise");
    expect(text).toContain("X509v3 Authority Key Identifier");
    expect(text).not.toContain("Issuing Distribution Point");
  });

  test("the CDP of the certificates is its address", async () => {
    const { cert } = await enrol("points");
    const parsed = parseCertificate(decodePem(cert)[0]?.der ?? new Uint8Array());
    const points = parsed.ok ? parsed.value.crlDistributionPoints : [];
    expect((await crl()).issuingDistributionPoint).toBeUndefined();
    expect(points).toEqual([(await authority.call("GET", "/v1/ca")).json.urls.crl]);
  });

  test("numbers only rise, also over a reload and a restart; unchanged it stays the same list until half its life is over", async () => {
    const first = await crl();
    expect((await crl()).crlNumber).toBe(first.crlNumber);
    await revoke((await enrol("number")).serial, "superseded");
    const second = await crl();
    expect(Number(second.crlNumber)).toBe(Number(first.crlNumber) + 1);
    await authority.service.reload(authority.service.config);
    expect((await crl()).crlNumber).toBe(second.crlNumber);
    await authority.restart();
    plain = `http://127.0.0.1:${authority.service.plainAddress?.port}`;
    expect((await crl()).crlNumber).toBe(second.crlNumber);
    offset = 13 * 3600_000;
    const third = await crl();
    offset = 0;
    expect(Number(third.crlNumber)).toBeGreaterThan(Number(second.crlNumber));
    expect((third.nextUpdate?.getTime() ?? 0) - third.thisUpdate.getTime()).toBe(24 * 3600_000);
  });

  test("a hold stands on it and goes when released; unspecified is written as no reason", async () => {
    const [held, plainly] = [await enrol("held"), await enrol("plainly")];
    await revoke(held.serial, "certificateHold");
    await revoke(plainly.serial, "unspecified");
    const reasons = new Map((await crl()).entries.map((one) => [one.serial, one.reason]));
    expect(reasons.get(held.serial)).toBe("certificateHold");
    expect(reasons.has(plainly.serial)).toBe(true);
    expect(reasons.get(plainly.serial)).toBeUndefined();
    await revoke(held.serial, "removeFromCRL");
    expect((await crl()).entries.map((one) => one.serial)).not.toContain(held.serial);
  });

  test("an expired certificate stays until one CRL after its end (S-20)", async () => {
    const holder = await authority.enrol({ cn: "short", validity: "1h" });
    await revoke(holder.serial, "keyCompromise");
    const listed = async () => (await crl()).entries.some((one) => one.serial === holder.serial);
    expect(await listed()).toBe(true);
    offset = 13 * 3600_000;
    expect(await listed()).toBe(true);
    offset = 26 * 3600_000;
    expect(await listed()).toBe(false);
    offset = 0;
  });

  test("50 fetches at once after a revocation give one list with it", async () => {
    const { serial } = await enrol("parallel");
    await revoke(serial, "superseded");
    const lists = await Promise.all(Array.from({ length: 50 }, crl));
    expect(lists.every((list) => list.entries.some((one) => one.serial === serial))).toBe(true);
    expect(new Set(lists.map((list) => list.crlNumber)).size).toBe(1);
  });
});

describe("OCSP", () => {
  const ask = (file: string, ...more: string[]) =>
    talk(
      `openssl ocsp -issuer issuing.pem ${more.join(" ")} -cert ${file} -url ${plain}/ocsp -CAfile root.pem -verify_other issuing.pem`,
    );

  test.each([[[]], [["-no_nonce"]], [["-sha256"]]])(
    "openssl ocsp %j: good, then revoked with time and reason",
    async (flags) => {
      const { file, serial } = await enrol(`ocsp${flags.join("")}`);
      const before = await ask(file, ...flags);
      expect(before).toContain("Response verify OK");
      expect(before).toContain(`${file}: good`);
      await revoke(serial, "keyCompromise");
      const after = await ask(file, ...flags);
      expect(after).toContain(`${file}: revoked`);
      expect(after).toContain("Reason: keyCompromise");
    },
  );

  test("openssl ocsp takes a GET's answer; several in one request are each answered", async () => {
    const [one, two] = [await enrol("get-one"), await enrol("get-two")];
    await revoke(two.serial, "superseded");
    openssl(
      "ocsp -issuer issuing.pem -cert",
      one.file,
      "-cert",
      two.file,
      "-no_nonce -reqout req.der",
    );
    const request = readFileSync(join(folder, "req.der")).toString("base64");
    for (const path of [encodeURIComponent(request), request]) {
      writeFileSync(join(folder, "resp.der"), await bytes(`${plain}/ocsp/${path}`));
      const text = openssl(
        "ocsp -issuer issuing.pem -cert",
        one.file,
        "-cert",
        two.file,
        "-no_nonce -respin resp.der -CAfile root.pem -verify_other issuing.pem",
      );
      expect(text).toContain("Response verify OK");
      expect(text).toContain("get-one.pem: good");
      expect(text).toContain("get-two.pem: revoked");
    }
  });

  test("a responder's certificate of its own answers: OCSPSigning, ocsp-nocheck, in the index", async () => {
    const { text } = await authority.call(
      "GET",
      "/v1/certificates?profile=countersign-ocsp&include=pem",
      {
        as: authority.operator,
        headers: { accept: "application/x-ndjson" },
      },
    );
    const { certificate } = JSON.parse(text.trim().split("\n").at(-1) ?? "");
    const shown = execFileSync("openssl", ["x509", "-noout", "-text"], {
      input: certificate,
      encoding: "utf8",
    });
    expect(shown).toContain("OCSP Signing");
    expect(shown).toContain("OCSP No Check");
    expect(shown).not.toContain("CRL Distribution");
  });

  async function post(body: Uint8Array) {
    const answer = await fetch(`${plain}/ocsp`, {
      method: "POST",
      body,
      headers: { "content-type": "application/ocsp-request" },
    });
    return {
      status: answer.status,
      headers: answer.headers,
      der: new Uint8Array(await answer.arrayBuffer()),
    };
  }
  const statusOf = (der: Uint8Array) => {
    const parsed = parseOcspResponse(der);
    if (!parsed.ok) throw new Error(parsed.refusal.detail);
    return parsed.value.basic?.responses[0]?.certStatus.status ?? parsed.value.status;
  };

  test("unknown for another issuer's and for serials never issued; good only for what is in the index", async () => {
    const issuing = authority.service.authority.issuers.active.certificate;
    const { root } = authority.service.authority.issuers.active;
    const never = certIdOf(issuing, "4000112233445566778899aabbccddeeff");
    const others = certIdOf(root, (await enrol("other")).serial);
    expect(statusOf((await post(encodeOcspRequest({ certIds: [never] }))).der)).toBe("unknown");
    expect(statusOf((await post(encodeOcspRequest({ certIds: [others] }))).der)).toBe("unknown");
  });

  test("caching headers without a nonce, none with; a kept answer changes with the status", async () => {
    const { serial } = await enrol("cached");
    const certIds = [
      certIdOf(authority.service.authority.issuers.active.certificate, serial, "sha1"),
    ];
    const [one, two] = [
      await post(encodeOcspRequest({ certIds })),
      await post(encodeOcspRequest({ certIds })),
    ];
    expect(one.headers.get("cache-control")).toMatch(
      /max-age=\d+, public, no-transform, must-revalidate/,
    );
    expect(one.headers.get("etag")).toBe(two.headers.get("etag"));
    expect(Buffer.from(one.der).equals(two.der)).toBe(true);
    const nonce = await post(encodeOcspRequest({ certIds, nonce: new Uint8Array(32).fill(7) }));
    expect(nonce.headers.get("cache-control")).toBe("no-store");
    await revoke(serial, "superseded");
    expect(statusOf((await post(encodeOcspRequest({ certIds }))).der)).toBe("revoked");
  });

  test("malformed bodies are malformedRequest, giants 413, other types 415", async () => {
    for (const body of [
      new Uint8Array(0),
      new Uint8Array([0x30, 0x00]),
      new Uint8Array(500).fill(0x30),
    ]) {
      const answer = await post(body);
      expect([answer.status, statusOf(answer.der)]).toEqual([200, "malformedRequest"]);
    }
    expect(statusOf(await bytes(`${plain}/ocsp/nonsense`))).toBe("malformedRequest");
    expect((await post(new Uint8Array(20_000))).status).toBe(413);
    expect((await fetch(`${plain}/ocsp`, { method: "POST", body: "x" })).status).toBe(415);
  });

  test("is stapled to the service's own handshake", async () => {
    const response = await new Promise<Buffer>((resolve, reject) => {
      const socket = connect({
        host: "localhost",
        port: authority.port,
        ca: authority.root,
        requestOCSP: true,
      });
      socket.on("OCSPResponse", (der) => {
        resolve(der);
        socket.destroy();
      });
      socket.on("error", reject);
    });
    expect(statusOf(response)).toBe("good");
  });
});

describe("the plain listener", () => {
  test("has CRL, OCSP and issuers, and nothing else", async () => {
    for (const path of [
      "/v1/ca",
      "/v1/certificates",
      "/healthz",
      "/docs",
      "/openapi.json",
      "/",
      "/metrics",
    ]) {
      const answer = await fetch(plain + path);
      expect([path, answer.status]).toEqual([path, 404]);
      // What to do next names no route that is not here.
      const { cure } = (await answer.json()) as { cure: string };
      expect(cure).toMatch(/^Check the address[^/]*$/);
    }
    expect((await fetch(`${plain}/crl/0000000000000000.crl`)).status).toBe(404);
    // No delta is published here and no certificate names a partition.
    for (const list of ["delta", "1of2", "1of2-delta", "7of2", "x"]) {
      expect([list, (await fetch(`${crlUrl}/${list}.crl`)).status]).toEqual([list, 404]);
      expect([list, (await fetch(`${crlUrl}/${list}.pem`)).status]).toEqual([list, 404]);
    }
    const issuer = await bytes(
      `${plain}/issuers/${authority.service.authority.issuers.active.id}.crt`,
    );
    expect(
      Buffer.from(issuer).equals(authority.service.authority.issuers.active.certificate.der),
    ).toBe(true);
  });

  test("ETag, If-None-Match, Last-Modified and If-Modified-Since save the transfer", async () => {
    const first = await fetch(`${crlUrl}.crl`);
    const [etag, modified] = [
      first.headers.get("etag") ?? "",
      first.headers.get("last-modified") ?? "",
    ];
    expect((await fetch(`${crlUrl}.crl`, { headers: { "if-none-match": etag } })).status).toBe(304);
    expect(
      (await fetch(`${crlUrl}.crl`, { headers: { "if-modified-since": modified } })).status,
    ).toBe(304);
    expect((await fetch(`${crlUrl}.crl`, { headers: { "if-none-match": '"other"' } })).status).toBe(
      200,
    );
    expect(first.headers.get("cache-control")).toMatch(/max-age=\d{4,}/);
    await revoke((await enrol("changes-the-etag")).serial, "superseded");
    const next = await fetch(`${crlUrl}.crl`, { headers: { "if-none-match": etag } });
    expect([next.status, next.headers.get("etag") === etag]).toEqual([200, false]);
  });

  test("TLS serves the same", async () => {
    const path = `/crl/${authority.service.authority.issuers.active.id}.crl`;
    expect((await authority.call("GET", path)).bytes.equals(await bytes(plain + path))).toBe(true);
  });
});

describe("countersign crl publish", () => {
  const countersign = (args: string) =>
    talk(
      `${process.execPath} ${new URL("../../src/cli/main.ts", import.meta.url).pathname} crl publish --data ${authority.folder} ${args}`,
    );

  test("--root makes the root's own CRL, served beside the issuer's; the whole chain then verifies", async () => {
    const { file } = await enrol("whole-chain");
    const said = await countersign("--root --out rootcrl.pem");
    expect(said).toMatch(/Root CRL number 2, 0 revoked/);
    const served = /served as (\/crl\/[0-9a-f]{16}\.crl)/.exec(said)?.[1] ?? "";
    const pem = execFileSync("openssl", ["crl", "-inform", "DER"], {
      input: await bytes(plain + served),
      encoding: "utf8",
    });
    expect(pem).toBe(readFileSync(join(folder, "rootcrl.pem"), "utf8"));
    writeFileSync(join(folder, "all.pem"), pem + (await (await fetch(`${crlUrl}.pem`)).text()));
    const chain = "-crl_check_all -CAfile root.pem -untrusted issuing.pem -CRLfile all.pem";
    expect(openssl("verify", chain, file)).toContain("whole-chain.pem: OK");
    const curl = await talk(
      `curl -sS -o /dev/null -w '%{http_code}' --cacert both.pem --crlfile all.pem ${authority.url}/healthz`,
    );
    expect(curl).toBe("200");
  });

  test("--revoke ends an issuing certificate for good: it stays on the root's next lists", async () => {
    const { serial } = authority.service.authority.issuers.active.certificate;
    expect(await countersign(`--root --revoke ${serial} --out revoked.pem`)).toContain(
      "number 3, 1 revoked",
    );
    expect(await countersign("--root --out again.pem")).toContain("number 4, 1 revoked");
    writeFileSync(
      join(folder, "all.pem"),
      readFileSync(join(folder, "again.pem"), "utf8") +
        (await (await fetch(`${crlUrl}.pem`)).text()),
    );
    expect(
      openssl(
        "verify -crl_check_all -CAfile root.pem -untrusted issuing.pem -CRLfile all.pem whole-chain.pem",
      ),
    ).toContain("certificate revoked");
  });

  test("a serial stands on the root's list once, however it is written (RFC 5280 5.1.2.6)", async () => {
    const same = "--revoke 12ab --revoke 0012ab --revoke 00:12:AB --revoke 0x12Ab";
    expect(await countersign(`--root ${same} --out once.pem`)).toContain("number 5, 2 revoked");
    const entry = /Serial Number: 12AB\n +Revocation Date: (.+)/g;
    const first = openssl("crl -in once.pem -noout -text");
    expect(first.match(/Serial Number: 0*12AB\n/g)).toHaveLength(1);
    expect(first.match(/Serial Number:/g)).toHaveLength(2);
    const [[, since] = []] = [...first.matchAll(entry)];
    // Later a list in which the second has passed: the date stays that of the first revocation.
    const second = Math.floor(Date.now() / 1000);
    while (Math.floor(Date.now() / 1000) === second) await wait(50);
    expect(await countersign(`--root ${same} --out twice.pem`)).toContain("number 6, 2 revoked");
    const again = openssl("crl -in twice.pem -noout -text");
    expect([...again.matchAll(entry)].map(([, date]) => date)).toEqual([since]);
    expect(again.match(/Serial Number:/g)).toHaveLength(2);
  });

  test("a serial that is not a serial changes nothing, and all wrong ones are named at once", async () => {
    const served = join(authority.folder, "root.crl");
    const before = readFileSync(served);
    const said = await countersign("--root --revoke 12xy --revoke 0 --revoke 12ac");
    expect(said).toContain('"12xy" is not a serial');
    expect(said).toContain('"0" is not a serial');
    expect(readFileSync(served).equals(before)).toBe(true);
    expect(await countersign("--revoke 12ad")).toContain("--root");
  });

  test("without --root it writes the issuer's list, beside a running service", async () => {
    const said = await countersign("--out issuing-crl.pem");
    expect(said).toMatch(/CRL number \d+/);
    expect(openssl("crl -in issuing-crl.pem -noout -issuer")).toContain("Example Internal CA");
  });
});

describe("other programs", () => {
  testWith("ocsptool")("ocsptool of GnuTLS accepts the answers", async () => {
    const { file, serial } = await enrol("gnutls");
    const ask = () =>
      talk(
        `ocsptool --ask=${plain}/ocsp --load-cert ${file} --load-issuer issuing.pem --load-trust issuing.pem`,
      );
    expect(await ask()).toMatch(/Certificate Status: good/i);
    await revoke(serial, "keyCompromise");
    expect(await ask()).toMatch(/Certificate Status: revoked/i);
  });

  testWith("curl")(
    "curl --crlfile and --cert-status judge the service's own certificate",
    async () => {
      writeFileSync(
        join(folder, "both.pem"),
        authority.root + readFileSync(join(authority.folder, "issuing.crt"), "utf8"),
      );
      const curl = (flags: string) =>
        talk(
          `curl -sS -o /dev/null -w '%{http_code}' --cacert both.pem ${flags} ${authority.url}/healthz`,
        );
      expect(await curl("--cert-status")).toBe("200");
      const list = await (await fetch(`${crlUrl}.pem`)).text();
      writeFileSync(join(folder, "service.crl"), list);
      // curl checks the whole chain: without the root's own CRL it must refuse.
      expect(await curl("--crlfile service.crl")).toMatch(/CRL|60/);
    },
  );
});
