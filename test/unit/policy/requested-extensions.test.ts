import { describe, expect, test } from "vitest";
import { integer, sequence, utf8String } from "../../../src/der/writer.ts";
import * as extensions from "../../../src/x509/extensions/encode.ts";
import { decideOn, profileOf, requestOf, rulesOf } from "./cases.ts";

const { extendedKeyUsageOids: usage } = extensions;
const other = (oid: string, critical: boolean) => ({ oid, critical, value: sequence(integer(1)) });

describe("a request's extensions", () => {
  test.each([
    ["to be a CA", extensions.basicConstraints({ ca: true }), "extensions.ca"],
    [
      "to be a CA below which are more",
      extensions.basicConstraints({ ca: true, pathLength: 1 }),
      "extensions.ca",
    ],
    [
      "to sign certificates",
      extensions.keyUsage(["digitalSignature", "keyCertSign"]),
      "extensions.ca",
    ],
    ["to sign CRLs", extensions.keyUsage(["cRLSign"]), "extensions.ca"],
    ["for name constraints", other("2.5.29.30", true), "extensions.ca"],
    ["for policy constraints", other("2.5.29.36", false), "extensions.ca"],
    ["for policy mappings", other("2.5.29.33", false), "extensions.ca"],
    ["to inhibit any policy", other("2.5.29.54", false), "extensions.ca"],
    [
      "to sign OCSP",
      extensions.extendedKeyUsage([usage.serverAuth, usage.OCSPSigning]),
      "extensions.usage",
    ],
    ["for any usage", extensions.extendedKeyUsage([usage.anyExtendedKeyUsage]), "extensions.usage"],
    [
      "for something critical and unknown",
      other("1.3.6.1.4.1.99999.1", true),
      "extensions.critical",
    ],
    [
      "for basicConstraints that cannot be read",
      { ...extensions.basicConstraints({ ca: false }), value: utf8String("x") },
      "extensions.malformed",
    ],
    [
      "for usages that cannot be read",
      { ...extensions.extendedKeyUsage([usage.serverAuth]), value: new Uint8Array() },
      "extensions.malformed",
    ],
    [
      "for no usage at all",
      { ...extensions.extendedKeyUsage([usage.serverAuth]), value: sequence() },
      "extensions.malformed",
    ],
  ])("that ask %s are refused (S-23)", (_, extension, rule) => {
    expect(rulesOf(decideOn({ request: requestOf({ extensions: [extension] }) }))).toEqual([rule]);
  });

  test.each([
    ["key usage", extensions.keyUsage(["digitalSignature"]), "extensions.keyUsage"],
    [
      "another extended key usage",
      extensions.extendedKeyUsage([usage.codeSigning]),
      "extensions.extendedKeyUsage",
    ],
    ["a comment", extensions.nsComment("me"), "extensions.nsComment"],
    ["something unknown", other("1.3.6.1.4.1.99999.1", false), "extensions.1.3.6.1.4.1.99999.1"],
  ])("that ask for %s are told of and not copied", (_, extension, field) => {
    const verdict = decideOn({ request: requestOf({ extensions: [extension] }) });
    expect(rulesOf(verdict)).toEqual([]);
    const notices = verdict.accepted ? verdict.plan.notices : [];
    expect(
      notices.filter((one) => one.rule === "extensions.profile").map((one) => one.field),
    ).toEqual([field]);
  });

  test.each([
    ["CA:FALSE", extensions.basicConstraints({ ca: false })],
    ["just what the profile gives", extensions.extendedKeyUsage([usage.serverAuth])],
  ])("that ask for %s need no word", (_, extension) => {
    const verdict = decideOn({
      request: requestOf({ extensions: [extension], names: ["dns:a.example.test"] }),
    });
    expect(verdict.accepted && verdict.plan.notices).toEqual([]);
  });

  test("may ask to sign OCSP where the profile grants it", () => {
    const profile = profileOf({ extendedKeyUsage: ["OCSPSigning"] });
    const request = requestOf({ extensions: [extensions.extendedKeyUsage([usage.OCSPSigning])] });
    expect(rulesOf(decideOn({ request, profile }))).toEqual([]);
  });
});
