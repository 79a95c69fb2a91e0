import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Accepted, redeem } from "../../../src/policy/decide.ts";
import type { Grant } from "../../../src/policy/grant.ts";
import { heldKeyRequest } from "../../../src/x509/csr/read.ts";
import { formatGeneralName } from "../../../src/x509/name/general-name.ts";
import { formatName } from "../../../src/x509/name/read.ts";
import {
  base,
  DAY,
  decideOn,
  nameOf,
  now,
  options,
  profileOf,
  requestOf,
  rulesOf,
  subjectOf,
  tokenGrant,
} from "./cases.ts";

const good = "/C=IN/ST=Karnataka/O=Example/CN=web";

function planOf(verdict: ReturnType<typeof decideOn>) {
  if (!verdict.accepted) throw new Error(verdict.violations.map((one) => one.message).join(" "));
  return verdict.plan;
}

describe("an accepted verdict", () => {
  test("gives its plan once", () => {
    const verdict = decideOn();
    if (!verdict.accepted) throw new Error("refused");
    expect(formatName(redeem(verdict).subject)).toBe("C=IN, ST=Karnataka, O=Example, CN=web");
    expect(() => redeem(verdict)).toThrow(/one verdict, one certificate/);
  });

  test("cannot be forged: neither by its shape, nor by its prototype, nor by the type system", () => {
    const real = decideOn();
    if (!real.accepted) throw new Error("refused");
    // @ts-expect-error an object of the same shape is not a verdict
    const shaped: Accepted = { accepted: true, plan: real.plan };
    const inherited = Object.create(real) as Accepted;
    const dressed = Object.setPrototypeOf(
      { accepted: true, plan: real.plan },
      Object.getPrototypeOf(real),
    ) as Accepted;
    const copied = { ...real } as unknown as Accepted;
    for (const forged of [
      shaped,
      inherited,
      dressed,
      copied,
      structuredClone({ accepted: true }) as never,
    ]) {
      expect(() => redeem(forged)).toThrow(TypeError);
    }
  });
});

describe("a decision", () => {
  test("is the same for the same input", () => {
    const input = { request: requestOf({ names: ["dns:web.example.test"] }) };
    expect(decideOn(input)).toEqual(decideOn(input));
  });

  test("lists every broken rule at once", () => {
    const verdict = decideOn({
      request: requestOf({
        subject: "/C=DE/O=Example",
        names: ["dns:web.elsewhere.test", "dns:*.example.test"],
        privateKey: generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
      }),
      validity: { seconds: 91 * DAY },
      weaknesses: [{ field: "publicKey", rule: "keys.roca", got: "", want: "", message: "" }],
      grant: { ...tokenGrant, csrSha256: "00" },
    });
    expect(rulesOf(verdict)).toEqual([
      "grant.binding",
      "subject.match",
      "subject.match",
      "subject.supplied",
      "subjectAltName.policy",
      "subjectAltName.wildcard",
      "keys.type",
      "keys.roca",
      "validity.maximum",
    ]);
  });

  test.each([0, 1, 2, 24, 49])(
    "finds the one bad name at position %i of fifty (S-18)",
    (position) => {
      const names = Array.from({ length: 50 }, (_, at) =>
        at === position ? "dns:bad.elsewhere.test" : `dns:n${at}.example.test`,
      );
      const verdict = decideOn({ request: requestOf({ names }) });
      expect(verdict.accepted ? [] : verdict.violations.map((one) => one.field)).toEqual([
        `subjectAltName[${position}]`,
      ]);
    },
  );

  test("certifies a name once that appears twice, and says so", () => {
    const twice = [nameOf("dns:a.example.test"), nameOf("dns:a.example.test")];
    const { publicKey } = requestOf();
    const plan = planOf(decideOn({ request: heldKeyRequest(subjectOf(good), publicKey, twice) }));
    expect(plan.subjectAltNames.map(formatGeneralName)).toEqual(["dns:a.example.test"]);
    expect(plan.notices.map((one) => one.rule)).toContain("subjectAltName.twice");
  });

  test("refuses who would be nobody, the issuer's own key, and a key of another where that is refused", () => {
    const anybody = {
      rules: [{ name: "commonName", rule: "optional" }],
      stringTypes: "any",
    } as const;
    const profile = profileOf({}, { subject: anybody });
    expect(rulesOf(decideOn({ profile, request: requestOf({ subject: "" }) }))).toEqual([
      "subject.identity",
    ]);
    const request = requestOf();
    const issuer = {
      subject: subjectOf("/C=IN/ST=Karnataka/O=Example/CN=CA"),
      notBefore: new Date("2026-01-01T00:00:00Z"),
      notAfter: new Date("2030-01-01T00:00:00Z"),
      spkiSha256: request.publicKey.spkiSha256,
    };
    expect(rulesOf(decideOn({ request, issuer }))).toEqual(["keys.issuer"]);
    const refusing = profileOf({}, { keyReuse: "refuse" });
    expect(rulesOf(decideOn({ profile: refusing, keyHolders: ["CN=other"] }))).toEqual([
      "keys.reuse",
    ]);
    expect(planOf(decideOn({ keyHolders: ["CN=other"] })).notices.map((one) => one.rule)).toContain(
      "keys.reuse",
    );
  });
});

describe("a token", () => {
  const grant: Grant = {
    ...tokenGrant,
    commonName: "web",
    names: [nameOf("dns:web.example.test")],
  };

  test.each([
    ["another common name", { subject: good.replace("web", "db") }, ["grant.commonName"]],
    [
      "no common name",
      { subject: "/C=IN/ST=Karnataka/O=Example" },
      ["subject.supplied", "grant.commonName"],
    ],
    ["a name beyond its ceiling", { names: ["dns:db.example.test"] }, ["subjectAltName.grant"]],
    [
      "a wildcard over its name",
      { names: ["dns:*.example.test"] },
      ["subjectAltName.wildcard", "subjectAltName.grant"],
    ],
    [
      "a second common name",
      { subject: `${good.replace("web", "db")}/CN=web` },
      ["grant.commonName"],
    ],
    ["its common name twice", { subject: `${good}/CN=web` }, []],
    ["what it is for", { names: ["dns:web.example.test"] }, []],
    ["less than it is for", {}, []],
  ])("for one name does not give %s (S-08)", (_, request, rules) => {
    expect(rulesOf(decideOn({ grant, request: requestOf(request) }))).toEqual(rules);
  });

  test("for another profile gives nothing", () => {
    expect(rulesOf(decideOn({ grant: { ...grant, profile: "client" } }))).toEqual([
      "grant.profile",
    ]);
  });

  test("bound to one request gives nothing for another", () => {
    const request = requestOf();
    expect(rulesOf(decideOn({ request, grant: { ...grant, csrSha256: request.sha256 } }))).toEqual(
      [],
    );
    expect(rulesOf(decideOn({ grant: { ...grant, csrSha256: "00" } }))).toEqual(["grant.binding"]);
  });
});

describe("a common name that reads as a host", () => {
  test.each([
    ["web.elsewhere.test", ["serverAuth"], ["subjectAltName.policy"]],
    ["*.example.test", ["serverAuth"], ["subjectAltName.wildcard"]],
    ["192.0.2.1", ["serverAuth"], ["subjectAltName.policy"]],
    ["web.elsewhere.test/CN=web.example.test", ["serverAuth"], ["subjectAltName.policy"]],
    ["w*.example.test", ["serverAuth"], ["commonName.host"]],
    ["*", ["serverAuth"], ["commonName.host"]],
    ["-web.elsewhere.test", ["serverAuth"], ["commonName.host"]],
    ["app-1.0", ["serverAuth"], []],
    ["web.elsewhere.test", ["anyExtendedKeyUsage"], ["subjectAltName.policy"]],
    ["web.example.test", ["serverAuth"], []],
    ["web.elsewhere.test", ["clientAuth"], []],
    ["Mr. Web", ["serverAuth"], []],
  ])(
    "goes through the same rules as a subjectAltName: %s for %j (S-15)",
    (cn, extendedKeyUsage, rules) => {
      const request = requestOf({ subject: `/C=IN/ST=Karnataka/O=Example/CN=${cn}` });
      expect(rulesOf(decideOn({ request, profile: profileOf({ extendedKeyUsage }) }))).toEqual(
        rules,
      );
    },
  );

  test("is not beyond the ceiling when the credential itself prescribes it", () => {
    const request = requestOf({ subject: "/C=IN/ST=Karnataka/O=Example/CN=web.example.test" });
    const names = [nameOf("dns:a.example.test")];
    expect(rulesOf(decideOn({ request, grant: { ...tokenGrant, names } }))).toEqual([
      "subjectAltName.grant",
    ]);
    expect(
      rulesOf(
        decideOn({ request, grant: { ...tokenGrant, names, commonName: "web.example.test" } }),
      ),
    ).toEqual([]);
  });
});

describe("a renewal", () => {
  const held = requestOf({ names: ["dns:web.example.test"] });
  const names = [nameOf("dns:web.example.test")];
  const grant: Grant = {
    ...tokenGrant,
    via: "renewal",
    subject: subjectOf(good),
    names,
    fixedNames: true,
    heldSpkiSha256: held.publicKey.spkiSha256,
  };
  const otherKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

  test.each([
    ["the held key and no request", heldKeyRequest(subjectOf(good), held.publicKey, names), []],
    ["an empty request", requestOf({ subject: "" }), []],
    [
      "the same in another order of names and case",
      requestOf({ subject: good.replace("web", "WEB"), names: ["dns:web.example.test"] }),
      [],
    ],
    ["another subject", requestOf({ subject: good.replace("web", "db") }), ["renew.subject"]],
    ["another name", requestOf({ names: ["dns:db.example.test"] }), ["renew.subjectAltName"]],
    [
      "one more name",
      requestOf({ names: ["dns:web.example.test", "dns:db.example.test"] }),
      ["renew.subjectAltName"],
    ],
  ])("with %s keeps its identity or is refused (S-07)", (_, request, rules) => {
    const verdict = decideOn({ request, grant });
    expect(rulesOf(verdict)).toEqual(rules);
    if (!verdict.accepted) return;
    expect(formatName(verdict.plan.subject)).toBe("C=IN, ST=Karnataka, O=Example, CN=web");
    expect(verdict.plan.subjectAltNames.map(formatGeneralName)).toEqual(["dns:web.example.test"]);
  });

  test("of a host that its token prescribed as the common name needs no name for it", () => {
    const subject = subjectOf(good.replace("web", "web.example.test"));
    const request = heldKeyRequest(subject, held.publicKey, []);
    expect(rulesOf(decideOn({ request, grant: { ...grant, subject, names: [] } }))).toEqual([]);
  });

  test("brings a new key only where the profile allows it", () => {
    const request = requestOf({ subject: "", privateKey: otherKey });
    expect(rulesOf(decideOn({ request, grant }))).toEqual([]);
    const fixed = profileOf({ renew: { ...options.renew, allowNewKey: false } });
    expect(rulesOf(decideOn({ request, grant, profile: fixed }))).toEqual(["renew.allowNewKey"]);
  });

  test.each([
    [
      "its names",
      profileOf({}, { altNames: { ...base.altNames, dns: [".elsewhere.test"] } }),
      ["subjectAltName.policy"],
    ],
    ["its key", profileOf({}, { keys: { ...base.keys, ec: ["P-384"] } }), ["keys.type"]],
    [
      "its subject",
      profileOf(
        {},
        {
          subject: {
            ...base.subject,
            rules: [...base.subject.rules, { name: "L", rule: "supplied" }],
          },
        },
      ),
      ["subject.supplied"],
    ],
    [
      "a part of its subject",
      profileOf(
        {},
        {
          subject: {
            ...base.subject,
            rules: base.subject.rules.filter(({ name }) => name !== "countryName"),
          },
        },
      ),
      ["renew.policy"],
    ],
  ])("is refused when today's policy no longer allows %s (S-06)", (_, profile, rules) => {
    expect(rulesOf(decideOn({ request: held, grant, profile }))).toEqual(rules);
  });

  test("does not outlive its lineage", () => {
    const notAfterCap = new Date(now.getTime() + DAY * 1000);
    const plan = planOf(decideOn({ request: held, grant: { ...grant, notAfterCap } }));
    expect(plan.notAfter).toEqual(notAfterCap);
    expect(plan.notices.map((one) => one.rule)).toContain("validity.grant");
  });
});
