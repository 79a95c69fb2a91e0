import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePem, encodePem } from "../../../src/der/pem.ts";
import {
  judgeSubject,
  type SubjectPolicy,
  type SubjectRule,
  subjectPolicyProblems,
} from "../../../src/policy/subject.ts";
import { parseCertificate } from "../../../src/x509/certificate/read.ts";
import { encodeRequest } from "../../../src/x509/csr/encode.ts";
import { findAttributeType, formatName, makeName } from "../../../src/x509/name/read.ts";
import { key, subjectOf } from "./cases.ts";

const policyOf = (
  rules: Readonly<Record<string, SubjectRule>>,
  stringTypes: "same" | "any" = "any",
): SubjectPolicy => ({
  stringTypes,
  entries: Object.entries(rules).map(([name, rule]) => {
    const type = findAttributeType(name);
    if (type === undefined) throw new Error(name);
    return { oid: type.oid, name: type.longName, rule };
  }),
});

const issuer = subjectOf("/C=IN/ST=Karnataka/O=Example/CN=CA");
const tutorial = policyOf({
  countryName: "match",
  stateOrProvinceName: "match",
  organizationName: "match",
  organizationalUnitName: "optional",
  commonName: "supplied",
  emailAddress: "optional",
});

describe("the subject policy", () => {
  test.each([
    [
      "the order of the policy, not of the request",
      "/CN=web/O=Example/ST=Karnataka/C=IN",
      "C=IN, ST=Karnataka, O=Example, CN=web",
    ],
    [
      "every occurrence of an attribute",
      "/C=IN/ST=Karnataka/O=Example/OU=a/OU=b/CN=web",
      "C=IN, ST=Karnataka, O=Example, OU=a, OU=b, CN=web",
    ],
    [
      "RDNs of one attribute each",
      "/C=IN/ST=Karnataka/O=Example/OU=a+CN=web",
      "C=IN, ST=Karnataka, O=Example, OU=a, CN=web",
    ],
    [
      "nothing that it does not name",
      "/C=IN/ST=Karnataka/L=Bengaluru/O=Example/CN=web",
      "C=IN, ST=Karnataka, O=Example, CN=web",
    ],
  ])("gives the certificate %s", (_, requested, made) => {
    const verdict = judgeSubject(tutorial, subjectOf(requested), issuer);
    expect(verdict.violations).toEqual([]);
    expect(formatName(verdict.subject)).toBe(made);
  });

  test.each([
    [
      "/C=IN/ST=Bavaria/O=Example/CN=web",
      [
        "The stateOrProvinceName field needed to be the same in the CA certificate (Karnataka) and the request (Bavaria)",
      ],
    ],
    ["/C=IN/O=Example/CN=web", ["The mandatory stateOrProvinceName field was missing"]],
    [
      "/C=IN/ST=Karnataka/O=Example",
      ["The commonName field needed to be supplied and was missing"],
    ],
    [
      "/C=DE/ST=Bavaria/O=Example",
      [
        "The countryName field needed to be the same in the CA certificate (IN) and the request (DE)",
        "The stateOrProvinceName field needed to be the same in the CA certificate (Karnataka) and the request (Bavaria)",
        "The commonName field needed to be supplied and was missing",
      ],
    ],
    [
      "/C=IN/ST=karnataka/O=Example/CN=web",
      [
        "The stateOrProvinceName field needed to be the same in the CA certificate (Karnataka) and the request (karnataka)",
      ],
    ],
    [
      "/C=IN/ST=Karnataka/O=Example/O=Other/CN=web",
      [
        "The organizationName field needed to be the same in the CA certificate (Example) and the request (Other)",
      ],
    ],
  ])("says to %s in openssl's words all that is wrong", (requested, messages) => {
    const { violations } = judgeSubject(tutorial, subjectOf(requested), issuer);
    expect(violations.map((one) => one.message)).toEqual(messages);
  });

  test("tells what it drops", () => {
    const { notices } = judgeSubject(
      tutorial,
      subjectOf("/C=IN/ST=Karnataka/L=Bengaluru/O=Example/CN=web"),
      issuer,
    );
    expect(notices.map((one) => [one.field, one.rule])).toEqual([
      ["subject.localityName", "subject.unnamed"],
    ]);
  });

  test("may match any of several values that the authority has, and takes the authority's own bytes", () => {
    const two = makeName([
      { type: "OU", value: "a", stringTag: 19 },
      { type: "OU", value: "b", stringTag: 19 },
    ]);
    const verdict = judgeSubject(
      policyOf({ organizationalUnitName: "match" }),
      subjectOf("/OU=b"),
      two,
    );
    expect(verdict.violations).toEqual([]);
    expect(verdict.subject.rdns[0]?.[0]?.stringTag).toBe(19);
  });

  test("takes the same text in another string type for another value only with stringTypes: same", () => {
    const printable = makeName([{ type: "O", value: "Example", stringTag: 19 }]);
    const rules = { organizationName: "match" } as const;
    expect(judgeSubject(policyOf(rules, "any"), printable, issuer).violations).toEqual([]);
    const [violation] = judgeSubject(policyOf(rules, "same"), printable, issuer).violations;
    expect(violation?.message).toMatch(
      /\(Example\) and the request \(Example\)\. The text is the same, the string type is not/,
    );
  });

  test("is misconfigured when it matches what the authority lacks, whatever the request has", () => {
    const policy = policyOf({ localityName: "match", commonName: "supplied" });
    const message =
      "The localityName field does not exist in the CA certificate, the 'policy' is misconfigured";
    expect(subjectPolicyProblems(policy, issuer)).toEqual([message]);
    const { violations } = judgeSubject(policy, subjectOf("/L=Bengaluru/CN=web"), issuer);
    expect(violations.map((one) => one.message)).toEqual([message]);
  });

  test.each([
    ["a NUL", "web\u0000.evil", "subject.characters"],
    ["a line end", "web\nCN=evil", "subject.characters"],
    ["a change of writing direction", "web\u202etset", "subject.characters"],
    ["an isolate", "web\u2066x", "subject.characters"],
    ["65 letters", "w".repeat(65), "subject.length"],
  ])("certifies no common name with %s (S-11)", (_, value, rule) => {
    const requested = makeName([{ type: "CN", value: "placeholder" }]);
    const attribute = { type: "2.5.4.3", stringTag: 12, value, bytes: Buffer.from(value) };
    const verdict = judgeSubject(
      policyOf({ commonName: "supplied" }),
      { ...requested, rdns: [[attribute]] },
      issuer,
    );
    expect(verdict.violations.map((one) => one.rule)).toEqual([rule]);
    expect(verdict.subject.rdns).toEqual([]);
    expect(verdict.violations[0]?.got).not.toMatch(/[\p{Cc}\u202e\u2066]/u);
  });
});

describe("openssl ca", () => {
  const folder = mkdtempSync(join(tmpdir(), "policy-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const runs = process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 500 : 25;
  const attributes = [
    "countryName",
    "stateOrProvinceName",
    "organizationName",
    "organizationalUnitName",
    "commonName",
  ] as const;
  const value = fc.record({
    type: fc.constantFrom(...attributes),
    letter: fc.constantFrom("A", "B"),
    stringTag: fc.constantFrom(12, 19),
  });
  const nameOf = (parts: readonly { type: string; letter: string; stringTag: number }[]) =>
    makeName(
      parts.map(({ type, letter, stringTag }) =>
        type === "countryName"
          ? { type, value: letter + letter }
          : { type, value: `Value ${letter}`, stringTag },
      ),
    );
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });

  beforeAll(() => {
    writeFileSync(join(folder, "ca.key"), key.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(join(folder, "ext.cnf"), "basicConstraints=critical,CA:TRUE\n");
  });

  test("decides on random subjects under random policies as judgeSubject does, to the byte and the word", () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 5 }),
        fc.array(value, { minLength: 1, maxLength: 5 }),
        fc.shuffledSubarray([...attributes], { minLength: 1 }),
        fc.array(fc.constantFrom("match", "supplied", "optional"), { minLength: 5, maxLength: 5 }),
        (caParts, requestParts, order, rules) => {
          const [caName, requested] = [nameOf(caParts), nameOf(requestParts)];
          const chosen = Object.fromEntries(
            order.map((name, at) => [name, rules[at] ?? "optional"]),
          );
          const ours = judgeSubject(
            policyOf(chosen as Record<string, SubjectRule>, "same"),
            requested,
            caName,
          );
          const theirs = runOpenssl(caName, requested, chosen);
          if (typeof theirs === "string") {
            const first = ours.violations[0]?.message.split(". The text is the same")[0];
            expect(theirs).toContain(first);
          } else {
            expect(ours.violations).toEqual([]);
            expect(Buffer.from(ours.subject.der).toString("hex")).toBe(
              Buffer.from(theirs).toString("hex"),
            );
          }
        },
      ),
      { numRuns: runs },
    );
  }, 120_000);

  /** The subject (DER) that openssl ca issues, or what it says, in one line. */
  function runOpenssl(
    caName: ReturnType<typeof makeName>,
    requested: ReturnType<typeof makeName>,
    policy: Readonly<Record<string, string>>,
  ): Uint8Array | string {
    const csr = (subject: typeof caName) =>
      encodePem(
        "CERTIFICATE REQUEST",
        encodeRequest({ subject, subjectAltNames: [], privateKey: key }),
      );
    writeFileSync(join(folder, "ca.csr"), csr(caName));
    writeFileSync(join(folder, "web.csr"), csr(requested));
    openssl(
      "x509",
      "-req",
      "-in",
      "ca.csr",
      "-signkey",
      "ca.key",
      "-out",
      "ca.crt",
      "-days",
      "9",
      "-extfile",
      "ext.cnf",
    );
    writeFileSync(join(folder, "index.txt"), "");
    writeFileSync(join(folder, "index.txt.attr"), "unique_subject = no\n");
    writeFileSync(
      join(folder, "ca.cnf"),
      `[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nrand_serial=yes\ncertificate=ca.crt\nprivate_key=ca.key\ndefault_md=sha256\ndefault_days=3\nnew_certs_dir=.\npolicy=p\n[p]\n${Object.entries(
        policy,
      )
        .map(([name, rule]) => `${name}=${rule}\n`)
        .join("")}`,
    );
    const done = spawnSync(
      "openssl",
      ["ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "web.csr", "-out", "web.crt"],
      { cwd: folder },
    );
    if (done.status !== 0) {
      // OpenSSL 3 words this sentence anew; ours is that of all versions before, in every tutorial.
      return done.stderr
        .toString()
        .replace(/\s+/g, " ")
        .replace("is different between CA", "needed to be the same in the CA");
    }
    const [block] = decodePem(readFileSync(join(folder, "web.crt"), "utf8"));
    const certificate = parseCertificate(block?.der ?? new Uint8Array());
    if (!certificate.ok) throw new Error(certificate.refusal.detail);
    return certificate.value.subject.der;
  }
});
