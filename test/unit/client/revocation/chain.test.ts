import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Authorities, readCertificates } from "../../../../src/client/revocation/chain.ts";
import type { Certificate } from "../../../../src/x509/certificate/read.ts";
import { type CertificateTerms, type Made, Maker } from "../../../vectors/revocation/make.ts";

let maker: Maker;
let root: Made;
beforeAll(() => {
  maker = new Maker();
  root = maker.authority({ subject: "/CN=Root" });
});
afterAll(() => maker.remove());

function read(...made: readonly Made[]): readonly Certificate[] {
  return readCertificates(maker.pem(...made));
}

/** Searches a path, and says on the console how long it took. */
function find(leaf: Made, issuers: readonly Made[], what: string, roots?: readonly Made[]) {
  const [certificate] = read(leaf) as [Certificate];
  const all = read(root, ...issuers);
  const authorities = new Authorities(all, roots && read(...roots));
  const started = performance.now();
  const outcome = authorities.findPath(certificate, new Date(), "sslclient");
  console.log(`${what}: ${(performance.now() - started).toFixed(1)} ms`);
  return outcome;
}

// Identifiers of keys would tell at once who signed; a hostile set has none.
const bare = ["subjectKeyIdentifier = none", "authorityKeyIdentifier = none"];

/** Cross certificates: every one of `names` signs every other; `keyOf` gives the key of a name. */
function mesh(count: number, keyOf: (index: number) => string, subject: (index: number) => string) {
  const own = Array.from({ length: count }, (_, index) =>
    maker.authority({ subject: subject(index), key: keyOf(index), extensions: bare }),
  );
  const terms = (index: number, by: Made): CertificateTerms => ({
    by,
    subject: subject(index),
    key: keyOf(index),
    extensions: bare,
  });
  const crossed = own.flatMap((by) =>
    own.flatMap((one, index) => (one === by ? [] : [maker.authority(terms(index, by))])),
  );
  return { own, crossed, terms };
}

describe("the search for a path has a budget", () => {
  test("CAs of one subject and one key that sign each other are one entity", () => {
    const key = maker.newKey();
    const issuers = Array.from({ length: 7 }, () => maker.authority({ subject: "/CN=Same", key }));
    const leaf = maker.leaf(issuers[0] as Made);
    // All are self-signed, so the caller says which ones are roots: none of them.
    const outcome = find(leaf, issuers, "7 CAs of one subject and one key", [root]);
    expect(outcome).toEqual({ why: "does not lead to a trusted root" });
  });

  test("CAs of one key and many names, each issued by every other", () => {
    const key = maker.newKey();
    const { own, crossed } = mesh(
      8,
      () => key,
      (index) => `/CN=Name ${index}`,
    );
    const leaf = maker.leaf(own[0] as Made, { extensions: bare });
    const outcome = find(leaf, crossed, `${crossed.length} CAs of one key and eight names`);
    expect(outcome).toEqual({
      why: expect.stringMatching(/within \d+ \w+.*: too many CAs sign each other/),
    });
  });

  test("CAs of one subject and keys of their own: a refusal that says why", () => {
    const keys = Array.from({ length: 8 }, () => maker.newKey());
    const { own, crossed } = mesh(
      8,
      (index) => keys[index] as string,
      () => "/CN=Crossed",
    );
    const outcome = find(
      maker.leaf(own[0] as Made, { extensions: bare }),
      crossed,
      `${crossed.length} CAs of 8 keys`,
    );
    expect(outcome).toEqual({
      why: expect.stringMatching(/within 48 signatures: too many CAs sign/),
    });
  });

  test("a short way is found beside many that lead nowhere", () => {
    const keys = Array.from({ length: 6 }, () => maker.newKey());
    const { own, crossed, terms } = mesh(
      6,
      (index) => keys[index] as string,
      (index) => `/CN=Beside ${index}`,
    );
    const right = maker.authority(terms(0, root));
    const leaf = maker.leaf(own[0] as Made, { extensions: bare });
    const outcome = find(leaf, [...crossed, right], `${crossed.length} CAs and a short way`);
    expect(outcome).toMatchObject({ path: { length: 3 } });
  });

  test("a path has at most 16 certificates", () => {
    const issuers: Made[] = [];
    let by = root;
    for (let depth = 0; depth < 15; depth++) {
      by = maker.authority({ by });
      issuers.push(by);
    }
    const shorter = find(maker.leaf(issuers[13] as Made), issuers, "14 CAs");
    expect(shorter).toMatchObject({ path: { length: 16 } });
    const outcome = find(maker.leaf(by), issuers, "15 CAs");
    expect(outcome).toEqual({ why: expect.stringContaining("more than 16 certificates") });
  });

  test("constraints and names beyond what is compared are a refusal", () => {
    const many = (count: number, line: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => line(index)).join("\n");
    const ca = maker.authority({
      by: root,
      extensions: ["nameConstraints = critical,@nc"],
      sections: `[nc]\n${many(500, (index) => `permitted;DNS.${index} = a${index}.test`)}`,
    });
    const leaf = maker.leaf(ca, {
      extensions: ["subjectAltName = @san"],
      sections: `[san]\n${many(900, (index) => `DNS.${index} = b.a${index % 500}.test`)}`,
    });
    const outcome = find(leaf, [ca], "900 names under 500 constraints");
    expect(outcome).toEqual({ why: expect.stringContaining("too many names and constraints") });
  });
});

test("who signed with SHA-1 is told in those words", () => {
  const ca = maker.authority({ by: root });
  const outcome = find(maker.leaf(ca, { args: ["-sha1"] }), [ca], "a leaf signed with SHA-1");
  expect(outcome).toEqual({
    why: "is signed with SHA-1 (ecdsa-with-SHA1), which is not accepted",
  });
});

test.each([
  ["a dot at its end", "excluded;DNS:bad.test", "DNS:a.bad.test."],
  ["a wildcard that covers it", "excluded;DNS:bad.test", "DNS:*.test"],
  ["a dot at the end of a URI's host", "excluded;URI:bad.test", "URI:https://bad.test./x"],
])("an excluded name is excluded with %s, where OpenSSL takes it", (_, constraint, name) => {
  const ca = maker.authority({
    by: root,
    extensions: [`nameConstraints = critical,${constraint}`],
  });
  const leaf = maker.leaf(ca, { extensions: [`subjectAltName = ${name}`] });
  expect(find(leaf, [ca], name)).toEqual({ why: expect.stringContaining("exclude") });
  const other = maker.leaf(ca, {
    extensions: ["subjectAltName = DNS:*.a.test,URI:https://a.test/"],
  });
  expect(find(other, [ca], "others")).toMatchObject({ path: { length: 3 } });
});
