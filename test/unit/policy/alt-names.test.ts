import { describe, expect, test } from "vitest";
import { type AltNamePolicy, isPatternWithin, judgeName } from "../../../src/policy/alt-names.ts";
import { nameOf } from "./cases.ts";

const nothing: AltNamePolicy = { dns: [], ip: [], uri: [], email: [], upn: [], wildcard: false };
const judge = (name: string, policy: Partial<AltNamePolicy>, ceiling?: readonly string[]) =>
  judgeName(nameOf(name), { ...nothing, ...policy }, ceiling?.map(nameOf), "subjectAltName[0]").map(
    (one) => one.rule,
  );

describe("a name", () => {
  test.each(["dns:a.test", "ip:10.0.0.1", "uri:https://a.test/", "email:a@a.test"])(
    "of a kind without a pattern is refused, never allowed: %s",
    (name) => expect(judge(name, {})).toEqual(["subjectAltName.policy"]),
  );

  test.each([
    ["dns:web.example.test", { dns: [".example.test"] }, true],
    ["dns:a.b.example.test", { dns: [".example.test"] }, true],
    ["dns:example.test", { dns: [".example.test"] }, false],
    ["dns:evilexample.test", { dns: [".example.test"] }, false],
    ["dns:example.test.evil", { dns: [".example.test", "example.test"] }, false],
    ["dns:web.example.test", { dns: ["web.example.test"] }, true],
    ["dns:web.example.test", { dns: ["WEB.Example.Test"] }, true],
    ["dns:a.web.example.test", { dns: ["web.example.test"] }, false],
    ["dns:anything.at.all", { dns: ["*"] }, true],
    ["ip:10.255.0.1", { ip: ["10.0.0.0/8"] }, true],
    ["ip:11.0.0.1", { ip: ["10.0.0.0/8"] }, false],
    ["ip:10.0.0.7", { ip: ["10.0.0.7"] }, true],
    ["ip:fd00::1", { ip: ["fd00::/8"] }, true],
    ["ip:::ffff:10.0.0.1", { ip: ["10.0.0.0/8"] }, false],
    ["ip:10.0.0.1", { ip: ["::/0"] }, false],
    ["ip:::ffff:10.0.0.1", { ip: ["::/0", "0.0.0.0/0"] }, false],
    ["uri:spiffe://a.test/x", { uri: ["spiffe://a.test/"] }, true],
    ["uri:https://a.test.evil/", { uri: ["https://a.test"] }, false],
    ["uri:https://a.test/x", { uri: ["https://a.test"] }, true],
    ["uri:https://a.test@evil.test/", { uri: ["https://a.test"] }, false],
    ["uri:https://a.test:x@evil.test/", { uri: ["https://a.test:"] }, false],
    ["uri:https://a.test/xy", { uri: ["https://a.test/x"] }, false],
    ["uri:https://a.test/x/../y", { uri: ["https://a.test/x"] }, false],
    ["uri:https://a.test/x/%2E%2e", { uri: ["https://a.test/x/"] }, false],
    ["uri:https://a.test/x/..y?z=/../", { uri: ["https://a.test/x"] }, true],
    ["uri:urn:example:a", { uri: ["urn:example:"] }, true],
    ["email:a@example.test", { email: ["@example.test"] }, true],
    ["email:a@sub.example.test", { email: ["@example.test"] }, false],
    ["email:a@sub.example.test", { email: [".example.test"] }, true],
    ["email:a@example.test", { email: [".example.test"] }, false],
    ["email:a@notexample.test", { email: ["@example.test"] }, false],
    ["email:ops@example.test", { email: ["ops@EXAMPLE.test"] }, true],
    ["email:OPS@example.test", { email: ["ops@example.test"] }, false],
  ])("%s under %j is allowed: %s", (name, policy, allowed) =>
    expect(judge(name, policy)).toEqual(allowed ? [] : ["subjectAltName.policy"]),
  );

  test("with a wildcard needs a permission of its own beside the one for the names below (S-15)", () => {
    expect(judge("dns:*.example.test", { dns: [".example.test"] })).toEqual([
      "subjectAltName.wildcard",
    ]);
    expect(judge("dns:*.example.test", { dns: [".example.test"], wildcard: true })).toEqual([]);
    expect(judge("dns:*.test", { dns: [".example.test"], wildcard: true })).toEqual([
      "subjectAltName.policy",
    ]);
    expect(judge("dns:*.web.example.test", { dns: ["web.example.test"], wildcard: true })).toEqual([
      "subjectAltName.policy",
    ]);
  });

  test("is within the ceiling of its credential only when it is one of the ceiling's own (S-08)", () => {
    const policy = { dns: [".example.test"], wildcard: true };
    expect(judge("dns:a.example.test", policy, ["dns:a.example.test"])).toEqual([]);
    expect(judge("dns:b.example.test", policy, ["dns:a.example.test"])).toEqual([
      "subjectAltName.grant",
    ]);
    expect(judge("dns:a.example.test", policy, ["dns:*.example.test"])).toEqual([
      "subjectAltName.grant",
    ]);
    expect(judge("dns:a.example.test", policy, [])).toEqual(["subjectAltName.grant"]);
  });
});

describe("a profile's pattern", () => {
  test.each([
    ["dns", "web.example.test", ".example.test", true],
    ["dns", ".a.example.test", ".example.test", true],
    ["dns", ".example.test", "web.example.test", false],
    ["dns", "*", ".example.test", false],
    ["dns", ".test", "*", true],
    ["dns", "example.test", ".example.test", false],
    ["dns", "evilexample.test", ".example.test", false],
    ["ip", "10.1.0.0/16", "10.0.0.0/8", true],
    ["ip", "10.0.0.0/7", "10.0.0.0/8", false],
    ["ip", "fd00::/16", "10.0.0.0/8", false],
    ["ip", "nonsense", "10.0.0.0/8", false],
    ["uri", "https://a.test/x", "https://a.test/", true],
    ["uri", "https://a.test", "https://a.test/", false],
    ["email", "ops@example.test", "@example.test", true],
    ["email", "@example.test", "@example.test", true],
    ["email", "@example.test", "ops@example.test", false],
    ["email", "@a.example.test", ".example.test", true],
    ["email", ".a.example.test", ".example.test", true],
    ["email", ".example.test", "@example.test", false],
    ["email", ".test", ".example.test", false],
  ] as const)("%s %s is within %s: %s", (kind, inner, outer, within) =>
    expect(isPatternWithin(kind, inner, outer)).toBe(within),
  );
});
