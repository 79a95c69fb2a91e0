import "reflect-metadata";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodePem } from "../../src/der/pem.ts";
import { encodeRequest } from "../../src/x509/csr/encode.ts";
import { requestBytes, type VerifiedRequest, verifyRequest } from "../../src/x509/csr/read.ts";
import { formatGeneralName, type GeneralName } from "../../src/x509/name/general-name.ts";
import { attributesOf, makeName } from "../../src/x509/name/read.ts";

x509.cryptoProvider.set(webcrypto as never);
const long = process.env["COUNTERSIGN_TEST_LONG"] === "1";
const keys: Record<string, KeyObject> = {};
beforeAll(() => {
  keys["P-256"] = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  keys["P-384"] = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
  keys["RSA"] = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  keys["Ed25519"] = generateKeyPairSync("ed25519").privateKey;
});

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const name: fc.Arbitrary<GeneralName> = fc.oneof(
  fc
    .array(label, { minLength: 1, maxLength: 4 })
    .map((labels) => ({ kind: "dns" as const, value: `${labels.join(".")}.test` })),
  fc.ipV4().map((value) => ({ kind: "ip" as const, value })),
  label.map((user) => ({ kind: "email" as const, value: `${user}@example.test` })),
  label.map((path) => ({ kind: "uri" as const, value: `spiffe://example.test/${path}` })),
);
const text = fc.string({
  unit: fc.constantFrom(..."abcXYZ 0123-_.äß漢é'()+,=<>#;\"/"),
  minLength: 1,
  maxLength: 30,
});
const content = fc.record({
  key: fc.constantFrom("P-256", "P-384", "RSA", "Ed25519"),
  attributes: fc.array(
    fc.record({ type: fc.constantFrom("ST", "L", "O", "OU", "CN"), value: text }),
    { minLength: 1, maxLength: 6 },
  ),
  names: fc.uniqueArray(name, { maxLength: 5, selector: formatGeneralName }),
});

function encode({
  key,
  attributes,
  names,
}: {
  key: string;
  attributes: { type: string; value: string }[];
  names: GeneralName[];
}) {
  return encodeRequest({
    subject: makeName(attributes),
    subjectAltNames: names,
    privateKey: keys[key] as KeyObject,
  });
}

/** What a request means: nothing else of it may matter. */
function meaning(request: VerifiedRequest): string {
  return JSON.stringify({
    subject: attributesOf(request.subject).map(({ type, stringTag, value }) => [
      type,
      stringTag,
      value,
    ]),
    names: request.subjectAltNames.map(formatGeneralName),
    unsupported: request.unsupportedNames,
    spki: request.publicKey.spkiSha256,
    extensions: request.extensions.map(({ oid, critical, value }) => [
      oid,
      critical,
      Buffer.from(value).toString("hex"),
    ]),
    attributes: request.attributes,
  });
}

describe("random requests", () => {
  test("read equal in ours and in @peculiar/x509", async () => {
    await fc.assert(
      fc.asyncProperty(content, async (wish) => {
        const der = encode(wish);
        const ours = verifyRequest(der);
        if (!ours.ok) throw new Error(ours.refusal.detail);
        const theirs = new x509.Pkcs10CertificateRequest(Buffer.from(der));
        expect(await theirs.verify()).toBe(true);
        expect(Buffer.from(theirs.publicKey.rawData).equals(ours.value.publicKey.spki)).toBe(true);
        expect(Buffer.from(theirs.subjectName.toArrayBuffer()).equals(ours.value.subject.der)).toBe(
          true,
        );
        const extension = theirs.extensions.find((one) => one.type === "2.5.29.17");
        const names = extension
          ? new x509.SubjectAlternativeNameExtension(extension.rawData).names.items
          : [];
        expect(names.map((one) => `${one.type === "url" ? "uri" : one.type}:${one.value}`)).toEqual(
          ours.value.subjectAltNames.map(formatGeneralName),
        );
        expect(attributesOf(ours.value.subject).map((one) => one.value)).toEqual(
          wish.attributes.map((one) => one.value),
        );
      }),
      { numRuns: long ? 5000 : 250 },
    );
  });

  test("are accepted by openssl req -verify, with the same subject", () => {
    fc.assert(
      fc.property(content, (wish) => {
        const pem = encodePem("CERTIFICATE REQUEST", encode(wish));
        const shown = execFileSync(
          "openssl",
          [
            "req",
            "-verify",
            "-noout",
            "-subject",
            "-nameopt",
            "RFC2253,-esc_msb,utf8,sep_multiline",
          ],
          { input: pem, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] },
        );
        const values = shown
          .trim()
          .split("\n")
          .slice(1)
          .map((line) => line.trim().replace(/^\w+=/, "").replace(/\\(.)/g, "$1"));
        // RFC 2253 shows the last attribute first.
        const plain = (one: string) => one.replace(/\\/g, "").replace(/\s+/g, " ").trim();
        expect(values.reverse().map(plain)).toEqual(wish.attributes.map((one) => plain(one.value)));
      }),
      { numRuns: long ? 500 : 25 },
    );
  });
});

describe("every single-byte mutation and every truncation", () => {
  test.each(["P-256", "RSA", "Ed25519"])("of a %s request is refused or means the same", (key) => {
    const der = encode({
      key,
      attributes: [
        { type: "O", value: "Example" },
        { type: "CN", value: "web" },
      ],
      names: [
        { kind: "dns", value: "web.example.test" },
        { kind: "ip", value: "10.0.0.1" },
      ],
    });
    const original = verifyRequest(der);
    if (!original.ok) throw new Error(original.refusal.detail);
    const wanted = meaning(original.value);
    const flips = long ? Array.from({ length: 255 }, (_, i) => i + 1) : [0x01, 0x80, 0xff, 0x20];
    let accepted = 0;
    for (let at = 0; at < der.length; at++) {
      for (const flip of flips) {
        const changed = Uint8Array.from(der);
        changed[at] = (changed[at] ?? 0) ^ flip;
        const outcome = verifyRequest(changed);
        if (!outcome.ok) continue;
        accepted++;
        expect(meaning(outcome.value), `byte ${at} ^ ${flip}`).toBe(wanted);
      }
      expect(verifyRequest(der.subarray(0, at)).ok, `the first ${at} bytes`).toBe(false);
    }
    // The signature covers everything but itself: hardly any change can go through.
    expect(accepted).toBeLessThan(4);
    expect(verifyRequest(Buffer.concat([der, Buffer.of(0)])).ok).toBe(false);
  });
});

describe("bytes that nobody meant", () => {
  test("never throw, whatever they are", () => {
    const nested = fc.nat({ max: 3000 }).map((depth) => Buffer.from("3080".repeat(depth), "hex"));
    const giant = fc
      .constantFrom("3084ffffffff", "30847fffffff", "3083ffffff30", "308900000000000000000001")
      .map((hex) => Buffer.from(hex, "hex"));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), nested, giant), (bytes) => {
        expect(verifyRequest(bytes).ok).toBe(false);
        const unwrapped = requestBytes(bytes);
        if (unwrapped.ok) expect(verifyRequest(unwrapped.value).ok).toBe(false);
      }),
      { numRuns: long ? 50_000 : 3000 },
    );
  });
});
