import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { judgeKey } from "../../../src/policy/keys.ts";
import { Profile, type ProfileOptions } from "../../../src/policy/profile.ts";
import { publicKeyOf } from "../../../src/x509/key/read-public.ts";
import { base, DAY, options, profileOf } from "./cases.ts";

function problemsOf(more: Partial<ProfileOptions>) {
  const compiled = Profile.compile({ ...options, ...more }, base);
  return compiled.ok
    ? []
    : (compiled.refusal.violations ?? []).map((one) => `${one.field} ${one.rule}`);
}
const subject = (rules: Readonly<Record<string, "match" | "supplied" | "optional">>) => ({
  stringTypes: "any" as const,
  rules: Object.entries(rules).map(([name, rule]) => ({ name, rule })),
});

describe("a profile", () => {
  test.each<[string, Partial<ProfileOptions>, string[]]>([
    ["a usage that nobody knows", { extendedKeyUsage: ["everything"] }, ["extendedKeyUsage usage"]],
    ["a usage by its OID", { extendedKeyUsage: ["1.3.6.1.5.5.7.3.2"] }, []],
    ["a maximum below its validity", { maxValiditySeconds: DAY }, ["maxValidity contradiction"]],
    [
      "an attribute that nobody knows",
      { subject: subject({ colour: "optional" }) },
      ["subject subject.known"],
    ],
    [
      "an attribute twice",
      { subject: subject({ CN: "supplied", commonName: "supplied" }) },
      ["subject subject.twice"],
    ],
    ["a weaker rule", { subject: subject({ countryName: "optional" }) }, ["subject widens"]],
    ["another attribute", { subject: subject({ localityName: "optional" }) }, ["subject widens"]],
    ["a stricter rule", { subject: subject({ emailAddress: "supplied" }) }, []],
    [
      "names of elsewhere",
      { altNames: { dns: [".elsewhere.test"] } },
      ["subjectAltName.dns widens"],
    ],
    ["fewer names", { altNames: { dns: [".a.example.test"] } }, []],
    ["wildcards", { altNames: { wildcard: true } }, ["subjectAltName.wildcard widens"]],
    ["shorter keys", { keys: { rsa: { min: 1024, max: 4096 } } }, ["keys.rsa widens"]],
    ["another curve", { keys: { ec: ["P-384"] } }, ["keys.ec widens"]],
    ["Ed448", { keys: { ed448: true } }, ["keys.ed448 widens"]],
    ["no lifetime", { validitySeconds: 0 }, ["validity impossible"]],
    ["a maximum that is no number", { maxValiditySeconds: Number.NaN }, ["maxValidity impossible"]],
    ["six minutes of backdating", { backdateSeconds: 360 }, ["backdate impossible"]],
    [
      "renewal from the first second",
      { renew: { ...options.renew, beforeFraction: 1 } },
      ["renew.before impossible"],
    ],
    ["the powers of a CA", { keyUsage: ["keyCertSign"] }, ["keyUsage impossible"]],
    ["operators without clientAuth", { role: "operator" }, ["role impossible"]],
    [
      "sizes the wrong way round",
      { keys: { rsa: { min: 4096, max: 2048 } } },
      ["keys.rsa impossible"],
    ],
    ["no RSA", { keys: { rsa: false } }, []],
  ])("with %s compiles or says why not", (_, more, problems) => {
    expect(problemsOf(more)).toEqual(problems.map((one) => `profiles.server.${one}`));
  });

  test("may not compare less than the policy does", () => {
    const strict = { ...base, subject: { ...base.subject, stringTypes: "same" as const } };
    const compiled = Profile.compile({ ...options, subject: base.subject }, strict);
    expect(compiled.ok ? [] : compiled.refusal.violations?.map((one) => one.field)).toEqual([
      "profiles.server.subject.stringTypes",
    ]);
  });

  test("says everything that is wrong with it at once", () => {
    expect(
      problemsOf({ extendedKeyUsage: ["x"], maxValiditySeconds: 1, altNames: { wildcard: true } }),
    ).toHaveLength(3);
  });

  test("cannot be made but by compiling", () => {
    // @ts-expect-error the constructor is private
    expect(() => new Profile()).toThrow(TypeError);
  });
});

describe("a key", () => {
  test.each([
    ["P-256", generateKeyPairSync("ec", { namedCurve: "P-256" }), true],
    ["P-384", generateKeyPairSync("ec", { namedCurve: "P-384" }), false],
    ["RSA-2048", generateKeyPairSync("rsa", { modulusLength: 2048 }), true],
    ["RSA-1024", generateKeyPairSync("rsa", { modulusLength: 1024 }), false],
    ["Ed25519", generateKeyPairSync("ed25519"), true],
    ["Ed448", generateKeyPairSync("ed448"), false],
  ])("of type %s is allowed or not as the policy says", (type, pair, allowed) => {
    const violations = judgeKey(publicKeyOf(pair.publicKey), profileOf().keys);
    expect(violations.map((one) => one.got)).toEqual(allowed ? [] : [type]);
  });
});
