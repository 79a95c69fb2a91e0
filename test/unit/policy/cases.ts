/** A request, a profile and a decision on them, each with only what a test is about spelled out. */

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  type Accepted,
  type DecisionInput,
  decide,
  type Refused,
} from "../../../src/policy/decide.ts";
import type { Grant } from "../../../src/policy/grant.ts";
import {
  type BasePolicy,
  Profile,
  type ProfileOptions,
  usualRenewal,
} from "../../../src/policy/profile.ts";
import { encodeRequest } from "../../../src/x509/csr/encode.ts";
import { type VerifiedRequest, verifyRequest } from "../../../src/x509/csr/read.ts";
import type { ExtensionSpec } from "../../../src/x509/extensions/encode.ts";
import { type GeneralName, parseGeneralNameText } from "../../../src/x509/name/general-name.ts";
import { type DistinguishedName, makeName, parseSubjectText } from "../../../src/x509/name/read.ts";

export const DAY = 86_400;
export const now = new Date("2026-06-01T12:00:00Z");
export const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

export function subjectOf(text: string): DistinguishedName {
  if (text === "") return makeName([]);
  const parsed = parseSubjectText(text);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
}

export function nameOf(text: string): GeneralName {
  const parsed = parseGeneralNameText(text);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
}

export function requestOf(
  more: {
    subject?: string | DistinguishedName;
    names?: readonly string[];
    extensions?: readonly ExtensionSpec[];
    privateKey?: KeyObject;
  } = {},
): VerifiedRequest {
  const { subject = "/C=IN/ST=Karnataka/O=Example/CN=web" } = more;
  const verified = verifyRequest(
    encodeRequest({
      subject: typeof subject === "string" ? subjectOf(subject) : subject,
      subjectAltNames: (more.names ?? []).map(nameOf),
      extensions: more.extensions ?? [],
      privateKey: more.privateKey ?? key,
    }),
  );
  if (!verified.ok) throw new Error(verified.refusal.detail);
  return verified.value;
}

export const base: BasePolicy = {
  subject: {
    rules: [
      { name: "countryName", rule: "match" },
      { name: "stateOrProvinceName", rule: "match" },
      { name: "organizationName", rule: "match" },
      { name: "organizationalUnitName", rule: "optional" },
      { name: "commonName", rule: "supplied" },
      { name: "emailAddress", rule: "optional" },
    ],
    stringTypes: "any",
  },
  altNames: {
    dns: [".example.test"],
    ip: ["10.0.0.0/8"],
    uri: [],
    email: [],
    upn: [],
    wildcard: false,
  },
  keys: { rsa: { min: 2048, max: 4096 }, ec: ["P-256"], ed25519: true, ed448: false },
  keyReuse: "report",
};

export const options: ProfileOptions = {
  name: "server",
  extendedKeyUsage: ["serverAuth"],
  validitySeconds: 30 * DAY,
  maxValiditySeconds: 90 * DAY,
  renew: usualRenewal,
  backdateSeconds: 60,
  noRevAvailUnderSeconds: 0,
};

export function profileOf(
  more: Partial<ProfileOptions> = {},
  policy: Partial<BasePolicy> = {},
): Profile {
  const compiled = Profile.compile({ ...options, ...more }, { ...base, ...policy });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.refusal.violations));
  return compiled.value;
}

export const tokenGrant: Grant = {
  via: "token",
  requestedBy: "token:1",
  profile: "server",
  commonName: undefined,
  names: undefined,
};

export function inputOf(more: Partial<DecisionInput> = {}): DecisionInput {
  return {
    request: requestOf(),
    grant: tokenGrant,
    profile: profileOf(),
    issuer: {
      subject: subjectOf("/C=IN/ST=Karnataka/O=Example/CN=CA"),
      notBefore: new Date("2026-01-01T00:00:00Z"),
      notAfter: new Date("2030-01-01T00:00:00Z"),
      spkiSha256: "00",
    },
    validity: {},
    now,
    weaknesses: [],
    ...more,
  };
}

export function decideOn(more: Partial<DecisionInput> = {}): Accepted | Refused {
  return decide(inputOf(more));
}

/** The rules that were broken, or none. */
export function rulesOf(verdict: Accepted | Refused): readonly string[] {
  return verdict.accepted ? [] : verdict.violations.map((one) => one.rule);
}
