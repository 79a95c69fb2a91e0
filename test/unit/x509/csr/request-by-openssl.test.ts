import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import * as write from "../../../../src/der/writer.ts";
import { encodeRequest } from "../../../../src/x509/csr/encode.ts";
import { verifyRequest } from "../../../../src/x509/csr/read.ts";
import { publicKeyOf } from "../../../../src/x509/key/read-public.ts";
import { encodeGeneralNames } from "../../../../src/x509/name/encode-general-names.ts";
import { formatName, makeName } from "../../../../src/x509/name/read.ts";
import { openssl } from "../../../helpers/x509-chain.ts";

const keys = {
  "P-256": generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  "P-384": generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
  "P-521": generateKeyPairSync("ec", { namedCurve: "P-521" }).privateKey,
  "RSA-2048": generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
  Ed25519: generateKeyPairSync("ed25519").privateKey,
  Ed448: generateKeyPairSync("ed448").privateKey,
} as const;
type KeyName = keyof typeof keys;

function requested(key: KeyObject, ...more: string[]): Uint8Array {
  const names = "subjectAltName=DNS:web.example.test,IP:10.0.0.1,email:a@b.test,URI:urn:x";
  const args = ["req", "-new", "-key", "key", "-subj", "/C=IN/O=Example/CN=web", "-addext", names];
  const pem = key.export({ type: "pkcs8", format: "pem" });
  const made = openssl([...args, "-outform", "DER", "-out", "out", ...more], { key: pem });
  if (made.written.length === 0) throw new Error(made.output);
  return made.written;
}

const told = (der: Uint8Array) => {
  const outcome = verifyRequest(der);
  return outcome.ok ? "ok" : `${outcome.refusal.code}: ${outcome.refusal.detail}`;
};

describe("requests of the real openssl req", () => {
  test.each<[KeyName, string, string[]]>([
    ["P-256", "ecdsa-with-SHA256", ["-sha256"]],
    ["P-256", "ecdsa-with-SHA512", ["-sha512"]],
    ["P-384", "ecdsa-with-SHA384", ["-sha384"]],
    ["P-521", "ecdsa-with-SHA512", ["-sha512"]],
    ["RSA-2048", "sha256WithRSAEncryption", ["-sha256"]],
    ["RSA-2048", "sha384WithRSAEncryption", ["-sha384"]],
    ["RSA-2048", "sha512WithRSAEncryption", ["-sha512"]],
    ["RSA-2048", "rsassaPss-SHA256", ["-sha256", "-sigopt", "rsa_padding_mode:pss"]],
    ["RSA-2048", "rsassaPss-SHA384", pss("sha384", "0")],
    ["RSA-2048", "rsassaPss-SHA512", pss("sha512", "digest")],
    ["RSA-2048", "rsassaPss-SHA256", pss("sha256", "max")],
    ["Ed25519", "Ed25519", []],
    ["Ed448", "Ed448", []],
  ])("%s signed with %s %j are verified", (key, algorithm, more) => {
    const outcome = verifyRequest(requested(keys[key], ...more));
    if (!outcome.ok) throw new Error(outcome.refusal.detail);
    const { subject, publicKey, subjectAltNames, signatureAlgorithm, extensions } = outcome.value;
    expect([publicKey.keyType, signatureAlgorithm]).toEqual([key, algorithm]);
    expect(formatName(subject)).toBe("C=IN, O=Example, CN=web");
    expect(subjectAltNames.map(({ kind, value }) => `${kind}:${value}`)).toEqual([
      "dns:web.example.test",
      "ip:10.0.0.1",
      "email:a@b.test",
      "uri:urn:x",
    ]);
    expect(extensions.map(({ name }) => name)).toEqual(["subjectAltName"]);
  });

  test.each<[KeyName, string, string[], RegExp]>([
    ["RSA-2048", "SHA-1", ["-sha1"], /SHA-1 is broken/],
    ["RSA-2048", "MD5", ["-md5"], /MD5 is broken/],
    ["P-256", "SHA-1", ["-sha1"], /SHA-1 is broken/],
    ["RSA-2048", "PSS and SHA-1", pss("sha1", "digest"), /RSASSA-PSS and SHA-1/],
    [
      "RSA-2048",
      "PSS and two hashes",
      [...pss("sha256", "digest"), "-sigopt", "rsa_mgf1_md:sha512"],
      /unequal hashes/,
    ],
    ["RSA-2048", "SHA-224", ["-sha224"], /is not known here/],
  ])("%s signed with %s are refused in words", (key, _hash, more, words) => {
    const text = told(requested(keys[key], ...more));
    expect(text).toMatch(/^bad-proof-of-possession: /);
    expect(text).toMatch(words);
  });
});

/** A request for a key of openssl's own, of a kind that node:crypto need not know. */
function requestedFor(...genpkey: string[]): Uint8Array {
  const made = openssl(["genpkey", ...genpkey, "-out", "out"]);
  const args = ["req", "-new", "-key", "key", "-subj", "/CN=web", "-outform", "DER", "-out", "out"];
  return openssl(args, { key: made.written }).written;
}

describe("keys that are not certified", () => {
  const ec = (curve: string) => ["-algorithm", "EC", "-pkeyopt", `ec_paramgen_curve:${curve}`];
  test.each<[string, string[], RegExp]>([
    ["of secp256k1", ec("secp256k1"), /the curve secp256k1 is not one of P-256, P-384, P-521/],
    ["of brainpoolP256r1", ec("brainpoolP256r1"), /the curve brainpoolP256r1 is not one of/],
    ["of a curve without a name here", ec("secp224r1"), /the curve 1\.3\.132\.0\.33 is not one of/],
    [
      "of a curve written out",
      [...ec("P-256"), "-pkeyopt", "ec_param_enc:explicit"],
      /the curve is not a named one/,
    ],
    [
      "for RSASSA-PSS alone",
      ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024"],
      /keys of type RSASSA-PSS .* are not supported/,
    ],
  ])("%s are refused by name, with field and offset", (_title, genpkey, reason) => {
    const text = told(requestedFor(...genpkey));
    expect(text).toMatch(reason);
    expect(text).toMatch(
      /^malformed-csr: certificationRequestInfo\.subjectPublicKeyInfo.*\(at byte \d+\)/,
    );
  });
});

function pss(digest: string, salt: string): string[] {
  return [`-${digest}`, "-sigopt", "rsa_padding_mode:pss", "-sigopt", `rsa_pss_saltlen:${salt}`];
}

/** A request put together part by part and correctly signed, so that only its form is wrong. */
function handmade(parts: {
  version?: Uint8Array;
  subject?: Uint8Array;
  spki?: Uint8Array;
  attributes?: Uint8Array;
  behind?: Uint8Array;
}): Uint8Array {
  const info = write.sequence(
    parts.version ?? write.integer(0),
    parts.subject ?? makeName([{ type: "CN", value: "web" }]).der,
    parts.spki ?? publicKeyOf(keys["P-256"]).spki,
    parts.attributes ?? write.implicit(0, new Uint8Array(), true),
  );
  const algorithm = write.sequence(write.oid("1.2.840.10045.4.3.2"));
  const signature = write.bitString(sign("sha256", info, keys["P-256"]));
  return write.concat([
    write.sequence(info, algorithm, signature),
    parts.behind ?? new Uint8Array(),
  ]);
}

const extensionRequest = "1.2.840.113549.1.9.14";
const asking = (...extensions: Uint8Array[]) =>
  write.explicit(
    0,
    write.sequence(write.oid(extensionRequest), write.set(write.sequence(...extensions))),
  );
const certExtensions = "1.3.6.1.4.1.311.2.1.14";
const askingTwice = (standard: Uint8Array, microsoft: Uint8Array) =>
  write.explicit(
    0,
    write.concat([
      write.sequence(write.oid(extensionRequest), write.set(write.sequence(standard))),
      write.sequence(write.oid(certExtensions), write.set(write.sequence(microsoft))),
    ]),
  );
const extension = (type: string, value: Uint8Array) =>
  write.sequence(write.oid(type), write.octetString(value));
const altName = extension("2.5.29.17", encodeGeneralNames([{ kind: "dns", value: "a.test" }]));
const password = write.sequence(
  write.oid("1.2.840.113549.1.9.7"),
  write.set(write.utf8String("secret")),
);
const { spki } = publicKeyOf(keys["P-256"]);
const offCurve = Uint8Array.from(spki);
offCurve[offCurve.length - 1]! ^= 1;
const compressed = write.sequence(
  write.sequence(write.oid("1.2.840.10045.2.1"), write.oid("1.2.840.10045.3.1.7")),
  write.bitString(
    write.concat([Uint8Array.of(2), spki.subarray(spki.length - 64, spki.length - 32)]),
  ),
);
const ofP384 = write.sequence(
  write.sequence(write.oid("1.2.840.10045.2.1"), write.oid("1.3.132.0.34")),
  write.bitString(spki.subarray(spki.length - 65)),
);
const unevenKey = write.sequence(
  write.sequence(write.oid("1.2.840.10045.2.1"), write.oid("1.2.840.10045.3.1.7")),
  write.tlv(3, write.concat([Uint8Array.of(1), spki.subarray(spki.length - 65)])),
);
const rsaKey = (modulus: Uint8Array, parameters = write.nullValue()) =>
  write.sequence(
    write.sequence(write.oid("1.2.840.113549.1.1.1"), parameters),
    write.bitString(write.sequence(modulus, write.integer(65_537))),
  );
const uncritical = write.sequence(
  write.oid("1.2.3"),
  write.tlv(1, Uint8Array.of(0)),
  write.octetString(spki),
);
const list = write.sequence(altName);
const wanted = write.sequence(write.oid(extensionRequest), write.set(list));
const nested = (levels: number) => {
  let der: Uint8Array = write.nullValue();
  for (let level = 0; level < levels; level++) der = write.sequence(der);
  return der;
};

describe("the form of a request", () => {
  test.each([
    ["as it should be", {}],
    ["with names asked for", { attributes: asking(altName) }],
    ["with a challenge password", { attributes: write.explicit(0, password) }],
    ["with one twice", { attributes: write.implicit(0, write.concat([password, password]), true) }],
    [
      "with an attribute without values",
      { attributes: write.explicit(0, write.sequence(write.oid("1.2.3"), write.set())) },
    ],
    ["with FALSE written out", { attributes: asking(uncritical) }],
    ["with the same names in both attributes", { attributes: askingTwice(altName, altName) }],
  ])("%s is accepted", (_title, parts) => {
    expect(told(handmade(parts))).toBe("ok");
  });

  test("names and attributes come back, and the password's value does not", () => {
    const both = write.concat([password, asking(altName).subarray(2)]);
    const outcome = verifyRequest(handmade({ attributes: write.implicit(0, both, true) }));
    if (!outcome.ok) throw new Error(outcome.refusal.detail);
    expect(outcome.value.attributes).toEqual(["challengePassword"]);
    expect(JSON.stringify(outcome.value.attributes)).not.toContain("secret");
    expect(outcome.value.subjectAltNames).toEqual([{ kind: "dns", value: "a.test" }]);
  });

  test("names in Microsoft's attribute are asked for as in the standard's", () => {
    const attributes = write.explicit(
      0,
      write.sequence(write.oid(certExtensions), write.set(write.sequence(altName))),
    );
    const outcome = verifyRequest(handmade({ attributes }));
    if (!outcome.ok) throw new Error(outcome.refusal.detail);
    expect(outcome.value.subjectAltNames).toEqual([{ kind: "dns", value: "a.test" }]);
    expect(outcome.value.attributes).toEqual([]);
    const both = verifyRequest(handmade({ attributes: askingTwice(uncritical, altName) }));
    expect(both.ok && both.value.extensions.map((one) => [one.name, one.critical])).toEqual([
      ["1.2.3", false],
      ["subjectAltName", false],
    ]);
  });

  test.each<[string, Parameters<typeof handmade>[0], RegExp]>([
    ["version 2", { version: write.integer(1) }, /version: not 0/],
    ["a point off its curve", { spki: offCurve }, /subjectPublicKeyInfo: .*off its curve/],
    ["a compressed point", { spki: compressed }, /not an uncompressed point/],
    ["a point of another curve", { spki: ofP384 }, /not an uncompressed point of P-384/],
    [
      "two lists of extensions",
      { attributes: write.implicit(0, write.concat([wanted, wanted]), true) },
      /the attribute extensionRequest appears twice/,
    ],
    [
      "two lists of extensions in one attribute",
      {
        attributes: write.explicit(
          0,
          write.sequence(write.oid(extensionRequest), write.set(list, list)),
        ),
      },
      /attributes.*bytes too many/,
    ],
    [
      "an unknown extension twice",
      { attributes: asking(extension("1.2.3", spki), extension("1.2.3", spki)) },
      /the extension 1\.2\.3 appears twice/,
    ],
    [
      "two different names in two attributes",
      { attributes: askingTwice(altName, extension("2.5.29.17", write.sequence())) },
      /extensionRequest and certExtensions ask for two different subjectAltName/,
    ],
    ["a version of two octets", { version: write.tlv(2, Uint8Array.of(0, 0)) }, /version: not 0/],
    [
      "a subject of another tag",
      { subject: write.set() },
      /subject.*expected tag 0x30, found 0x31/,
    ],
    ["a key of another tag", { spki: write.set() }, /subjectPublicKeyInfo: expected tag 0x30/],
    ["attributes of another tag", { attributes: write.set() }, /attributes: expected tag 0xa0/],
    ["a key with bits to spare", { spki: unevenKey }, /subjectPublicKeyInfo.*not whole octets/],
    [
      "a modulus below zero",
      { spki: rsaKey(write.tlv(2, Uint8Array.of(0x80, 1))) },
      /modulus.*positive/,
    ],
    [
      "a modulus not in its shortest form",
      { spki: rsaKey(write.tlv(2, Uint8Array.of(0, 0x7f))) },
      /modulus: zero, or not in its shortest form/,
    ],
    ["an RSA key without NULL", { spki: rsaKey(write.integer(3), new Uint8Array()) }, /missing/],
    [
      "an extension twice",
      { attributes: asking(altName, altName) },
      /subjectAltName appears twice/,
    ],
    [
      "a TRUE of another value",
      {
        attributes: asking(
          write.sequence(
            write.oid("1.2.3"),
            write.tlv(1, Uint8Array.of(1)),
            write.octetString(spki),
          ),
        ),
      },
      /critical is not DER's TRUE/,
    ],
    [
      "a third field behind an extension",
      {
        attributes: asking(
          write.sequence(
            write.oid("1.2.3"),
            write.boolean(true),
            write.octetString(spki),
            write.nullValue(),
          ),
        ),
      },
      /bytes too many/,
    ],
    [
      "an attribute of half an element",
      {
        attributes: write.explicit(
          0,
          write.sequence(write.oid("1.2.3"), write.set(Uint8Array.of(0x04, 0x05))),
        ),
      },
      /5 bytes announced, 0 are there/,
    ],
    ["trailing bytes", { behind: Uint8Array.of(0) }, /1 bytes too many/],
    ["a second request behind it", { behind: handmade({}) }, /bytes too many/],
    ["a subject 5000 levels deep", { subject: nested(5000) }, /expected tag 0x31/],
    ["an attribute list 5000 levels deep", { attributes: nested(5000) }, /expected tag 0xa0/],
    ["an object identifier with padding", { attributes: paddedOid() }, /not an object identifier/],
  ])("%s is refused with field and offset", (_title, parts, reason) => {
    const text = told(handmade(parts));
    expect(text).toMatch(/^malformed-csr: /);
    expect(text).toMatch(reason);
    expect(text).toMatch(/\(at byte \d+\)/);
  });

  test("indefinite length and a length of four gigabytes are refused at once", () => {
    const der = handmade({});
    expect(
      told(write.concat([Uint8Array.of(0x30, 0x80), der.subarray(3), new Uint8Array(2)])),
    ).toMatch(/indefinite length/);
    expect(told(Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0))).toMatch(/announced/);
    expect(told(Uint8Array.of(0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0))).toMatch(/length of 9/);
  });

  test("attributes that nobody knows are named, whatever they hold", () => {
    const unknown = write.sequence(
      write.oid("1.3.6.1.4.1.311.13.2.3"),
      write.set(write.utf8String("10.0"), write.nullValue()),
    );
    const outcome = verifyRequest(handmade({ attributes: write.explicit(0, unknown) }));
    expect(outcome.ok && outcome.value.attributes).toEqual(["1.3.6.1.4.1.311.13.2.3"]);
  });

  test("a length that is longer than it need be is refused wherever it stands", () => {
    const der = handmade({ attributes: asking(altName) });
    let which = 0;
    for (; ; which++) {
      const changed = withLongerLength(der, which);
      if (changed === undefined) break;
      expect(told(changed), `element ${which}`).toMatch(/^malformed-csr: .*\(at byte \d+\)/);
      expect(told(changed), `element ${which}`).toMatch(/not in its shortest form/);
    }
    expect(which).toBeGreaterThan(20);
  });

  test("a signature over other bytes, or in the name of another algorithm, proves nothing", () => {
    const der = Buffer.from(handmade({}));
    const other = Buffer.from(handmade({ attributes: asking(altName) }));
    const tail = (request: Buffer) => request.subarray(request.lastIndexOf(ecdsa));
    const head = der.subarray(0, der.lastIndexOf(ecdsa)).subarray(3);
    const swapped = write.sequence(write.concat([head, tail(other)]));
    expect(told(swapped)).toMatch(/^bad-proof-of-possession: .*does not verify/);
    const renamed = Buffer.from(der);
    renamed[der.lastIndexOf(ecdsa) + ecdsa.length - 1] = 3;
    expect(told(renamed)).toMatch(/^bad-proof-of-possession: .*ecdsa-with-SHA384/);
  });

  test("the offset of a bad name counts from the start of the request", () => {
    const bad = write.tlv(0x89, Buffer.from("a b"));
    const der = handmade({ attributes: asking(extension("2.5.29.17", write.sequence(bad))) });
    const at = Number(/at byte (\d+)/.exec(told(der))?.[1]);
    // The reader stands behind the name when it says that no name has this tag.
    expect(Buffer.from(der).indexOf(Buffer.from(bad)) + bad.length).toBe(at);
  });

  test("the key of another signs for nobody", () => {
    const other = publicKeyOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey).spki;
    expect(told(handmade({ spki: other }))).toMatch(/^bad-proof-of-possession: /);
    const rsa = publicKeyOf(keys["RSA-2048"]).spki;
    expect(told(handmade({ spki: rsa }))).toMatch(/^bad-proof-of-possession: /);
  });

  test("openssl req accepts what we encode, for every kind of key", () => {
    for (const privateKey of Object.values(keys)) {
      const subject = makeName([{ type: "CN", value: "web" }]);
      const csr = encodeRequest({ subject, subjectAltNames: [], privateKey });
      const { output } = openssl("req -inform DER -in csr -verify -noout".split(" "), { csr });
      expect(output).toMatch(/verify OK/);
    }
  });
});

const ecdsa = Buffer.from(write.sequence(write.oid("1.2.840.10045.4.3.2")));

/** The same DER but for one element, of which the length has one octet more; undefined behind the last. */
function withLongerLength(der: Uint8Array, which: number): Uint8Array | undefined {
  let count = -1;
  const encode = (from: number, to: number): Uint8Array => {
    const elements: Uint8Array[] = [];
    for (let at = from; at < to; ) {
      const first = der[at + 1] ?? 0;
      const start = at + 2 + (first < 0x80 ? 0 : first & 0x7f);
      const digits = Buffer.from(der.subarray(at + 2, start)).toString("hex");
      const stop = start + (first < 0x80 ? first : Number(`0x${digits}`));
      const tag = der[at] ?? 0;
      const longer = ++count === which;
      const content = (tag & 0x20) === 0 ? der.subarray(start, stop) : encode(start, stop);
      const { length } = content;
      const octets = (length < 0x80 ? 0 : length < 0x100 ? 1 : 2) + (longer ? 1 : 0);
      const big = Uint8Array.of(length >> 16, length >> 8, length).subarray(3 - octets);
      elements.push(
        octets === 0
          ? write.tlv(tag, content)
          : write.concat([Uint8Array.of(tag, 0x80 | octets), big, content]),
      );
      at = stop;
    }
    return write.concat(elements);
  };
  const changed = encode(0, der.length);
  return which > count ? undefined : changed;
}

function paddedOid(): Uint8Array {
  return write.explicit(
    0,
    write.sequence(write.tlv(0x06, Uint8Array.of(0x2a, 0x80, 0x01)), write.set(write.nullValue())),
  );
}
