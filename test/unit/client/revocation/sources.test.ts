/** What OCSP responders and lists say, and when it counts; made by openssl, served over HTTP. */

import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type GuardOptions,
  revocationGuard,
  type Verdict,
} from "../../../../src/client/revocation/guard.ts";
import { listenLocally } from "../../../helpers/loopback.ts";
import { judgePeer } from "../../../helpers/tls-peer.ts";
import { type CertificateTerms, type Made, Maker } from "../../../vectors/revocation/make.ts";

const hour = 3_600_000;
const day = 24 * hour;
const longList = ["-crldays", "25"];

let maker: Maker;
let root: Made;
let issuing: Made;
let leaf: Made;
let origin: string;
/** What is served: lists by path, and who answers OCSP for how many days (none: no nextUpdate). */
let lists: Record<string, Buffer>;
let responder: { readonly signer: Made; readonly days?: string } | undefined;

const publisher = createServer(
  (request, response) =>
    void (async () => {
      const body =
        request.url === "/ocsp" ? answer(await buffer(request)) : lists[request.url ?? ""];
      response.statusCode = body === undefined ? 503 : 200;
      response.end(body);
    })(),
);

beforeAll(async () => {
  maker = new Maker();
  root = maker.authority({ subject: "/CN=Root" });
  issuing = maker.authority({ by: root, subject: "/CN=Issuing" });
  leaf = maker.leaf(issuing);
  origin = `http://127.0.0.1:${await listenLocally(publisher)}`;
});
afterAll(() => {
  publisher.close();
  maker.remove();
});
beforeEach(() => {
  lists = { "/root": maker.list(root, { args: longList }) };
  responder = undefined;
});

/** The answer of `openssl ocsp`; the leaf is valid in its index. */
function answer(request: Buffer): Buffer | undefined {
  if (responder === undefined) return undefined;
  const { signer, days } = responder;
  writeFileSync(maker.path("ocsp.req"), request);
  const line = `V\t491231235959Z\t\t${leaf.serial}\tunknown\t/CN=leaf\n`;
  writeFileSync(maker.path("ocsp.txt"), line);
  maker.openssl(
    ...["ocsp", "-index", "ocsp.txt", "-CA", `${issuing.name}.pem`],
    ...["-rsigner", `${signer.name}.pem`, "-rkey", `${signer.key}.key`],
    ...["-reqin", "ocsp.req", "-respout", "ocsp.resp"],
    ...(days === undefined ? [] : ["-ndays", days]),
  );
  return readFileSync(maker.path("ocsp.resp"));
}

function delegate(extensions: readonly string[], terms: CertificateTerms = {}): Made {
  const usage = "extendedKeyUsage = OCSPSigning";
  return maker.leaf(issuing, { ...terms, extensions: [usage, ...extensions] });
}

function judge(options: Partial<GuardOptions>): Promise<Verdict> {
  const guard = revocationGuard({
    ca: maker.pem(root, issuing),
    whenUnknown: "deny",
    crl: [`${origin}/root`, `${origin}/issuing`],
    ocsp: `${origin}/ocsp`,
    ...options,
  });
  return judgePeer(guard, maker.holder(leaf), maker.holder(leaf));
}

const later = (ms: number) => () => new Date(Date.now() + ms);

describe("an OCSP answer without nextUpdate", () => {
  test("counts for an hour after its thisUpdate, and a year later no more", async () => {
    responder = { signer: issuing };
    expect(await judge({})).toMatchObject({ rule: "good" });
    expect(await judge({ now: later(hour - 60_000) })).toMatchObject({ rule: "good" });
    const over = await judge({ now: later(hour + 60_000) });
    expect(over).toMatchObject({ allowed: false, rule: "unknown" });
    expect(over.message).toContain("it has no nextUpdate, and statusAgeMs is over");
  });

  test("counts for as long as statusAgeMs says", async () => {
    responder = { signer: issuing };
    expect(await judge({ statusAgeMs: 3 * hour, now: later(2 * hour) })).toMatchObject({
      rule: "good",
    });
    expect(await judge({ statusAgeMs: 60_000, now: later(2 * 60_000) })).toMatchObject({
      rule: "unknown",
    });
  });

  test("one with nextUpdate counts until then", async () => {
    responder = { signer: issuing, days: "20" };
    expect(await judge({ now: later(19 * day) })).toMatchObject({ rule: "good" });
    expect(await judge({ now: later(21 * day) })).toMatchObject({ rule: "unknown" });
  });
});

describe("a delegate of OCSP", () => {
  test("with id-pkix-ocsp-nocheck is believed without a list", async () => {
    responder = { signer: delegate(["noCheck = ignored"]), days: "20" };
    expect(await judge({})).toMatchObject({ rule: "good" });
  });

  test("without it counts while its issuer's list says that it is good", async () => {
    const signer = delegate([]);
    responder = { signer, days: "20" };
    const before = await judge({});
    expect(before).toMatchObject({ allowed: false, rule: "unknown" });
    expect(before.message).toContain("id-pkix-ocsp-nocheck");
    lists["/issuing"] = maker.list(issuing, { args: longList });
    expect(await judge({})).toMatchObject({ rule: "good" });
  });

  test("that is revoked counts for nothing", async () => {
    // A list of delegates alone: the leaf names another point, so that only OCSP tells of it.
    const scope = {
      extensions: ["authorityKeyIdentifier = keyid", "issuingDistributionPoint = critical,@idp"],
      sections: `[idp]\nfullname = URI:${origin}/delegates`,
      args: longList,
    };
    const pointed = delegate([`crlDistributionPoints = URI:${origin}/delegates`]);
    responder = { signer: pointed, days: "20" };
    const crl = [`${origin}/root`, `${origin}/delegates`];
    lists["/delegates"] = maker.list(issuing, scope);
    expect(await judge({ crl })).toMatchObject({ rule: "good" });
    lists["/delegates"] = maker.list(issuing, { ...scope, revoked: [pointed.serial] });
    const revoked = await judge({ crl });
    expect(revoked).toMatchObject({ allowed: false, rule: "unknown" });
    expect(revoked.message).toContain(
      `the responder's certificate ${pointed.serial.toLowerCase()} was revoked`,
    );
  });

  test("that is expired counts for nothing, with id-pkix-ocsp-nocheck too", async () => {
    const terms = { args: ["-days", "1"] };
    responder = { signer: delegate(["noCheck = ignored"], terms), days: "20" };
    expect(await judge({})).toMatchObject({ rule: "good" });
    expect(await judge({ now: later(2 * day) })).toMatchObject({ allowed: false, rule: "unknown" });
  });

  test("is read with trailing zero bits in its keyUsage", async () => {
    const padded = "keyUsage = critical,DER:03020080";
    responder = { signer: delegate(["noCheck = ignored", padded]), days: "20" };
    expect(await judge({})).toMatchObject({ rule: "good" });
  });

  test("may sign answers by its keyUsage, and understands what is critical in it", async () => {
    const wrong = "keyUsage = critical,keyEncipherment";
    responder = { signer: delegate(["noCheck = ignored", wrong]), days: "20" };
    expect((await judge({})).message).toContain("keyUsage without digitalSignature");
    const odd = "1.2.3.4 = critical,DER:0500";
    responder = { signer: delegate(["noCheck = ignored", odd]), days: "20" };
    expect((await judge({})).message).toContain("critical extension 1.2.3.4");
  });
});

describe("a list", () => {
  test("that is signed with SHA-1 is refused in those words", async () => {
    lists["/issuing"] = maker.list(issuing, { args: ["-md", "sha1"] });
    const verdict = await judge({ ocsp: false });
    expect(verdict).toMatchObject({ allowed: false, rule: "unknown" });
    expect(verdict.message).toContain(
      "the CRL is signed with SHA-1 (ecdsa-with-SHA1), which is not accepted",
    );
  });

  test("of the root that cannot be had follows whenUnknown for issuers", async () => {
    lists = { "/issuing": maker.list(issuing) };
    const denied = await judge({ ocsp: false });
    expect(denied).toMatchObject({ allowed: false, rule: "unknown" });
    expect(denied.message).toContain(
      `CA certificate ${issuing.serial.toLowerCase()} (CN=Issuing), 1 above`,
    );
    const whenUnknown = { peer: "deny", issuers: "allow" } as const;
    expect(await judge({ ocsp: false, whenUnknown })).toMatchObject({ allowed: true });
    lists = { "/root": maker.list(root) };
    expect(await judge({ ocsp: false, whenUnknown })).toMatchObject({ allowed: false });
    expect(() => judge({ whenUnknown: { peer: "deny" } as never })).toThrow(/a word for each/);
  });

  test("of the root is asked once for many peers", async () => {
    const asked: string[] = [];
    const note = (request: { url?: string }) => asked.push(request.url ?? "");
    publisher.on("request", note);
    const named = maker.authority({
      by: root,
      extensions: [`crlDistributionPoints = URI:${origin}/root`],
    });
    lists["/issuing"] = maker.list(named);
    const pointing = revocationGuard({
      ca: maker.pem(root, named),
      whenUnknown: "deny",
      crl: `${origin}/issuing`,
      ocsp: false,
    });
    for (let n = 0; n < 3; n++) {
      const peer = maker.holder(maker.leaf(named));
      expect(await judgePeer(pointing, peer, peer)).toMatchObject({ rule: "good" });
    }
    publisher.off("request", note);
    expect(asked.sort()).toEqual(["/issuing", "/root"]);
  });
});
