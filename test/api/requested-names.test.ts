/** Names of a request by the real openssl: wrong kinds with their cure, and user principal names. */

import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { useAuthority } from "../helpers/use-authority.ts";
import { openssl } from "../helpers/x509-chain.ts";

const authority = useAuthority({
  config: (yaml) => {
    yaml["policy"].subjectAltName.dns = [".example.test"];
    yaml["policy"].subjectAltName.upn = ["@example.test"];
  },
});

const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const upn = "1.3.6.1.4.1.311.20.2.3";

function requestWith(subjectAltName: string): Buffer {
  const args = ["req", "-new", "-key", "key", "-subj", "/C=IN/ST=Karnataka/O=Example/CN=web"];
  const made = openssl([...args, "-addext", `subjectAltName=${subjectAltName}`, "-out", "out"], {
    key: key.export({ type: "pkcs8", format: "pem" }),
  });
  return Buffer.from(made.written);
}

async function post(subjectAltName: string, sans: string[] = []) {
  const token = await authority.mint({ profile: "client", cn: "web", sans });
  const headers = { "content-type": "application/pkcs10" };
  const body = requestWith(subjectAltName);
  return authority.call("POST", "/v1/certificates", { token, body, headers });
}

test("names of a wrong kind are told together, each with its cure, beside all else", async () => {
  const wrong = "DNS:10.0.0.5,DNS:web.example.test:8443,DNS:https://a.example.test/x,DNS:evil.test";
  const answer = await post(wrong);
  expect(answer.status, answer.text).toBe(422);
  const told = answer.json.violations.map((one: { rule: string; got: string; want: string }) => [
    one.rule,
    one.got,
    one.want,
  ]);
  expect(told).toEqual(
    expect.arrayContaining([
      ["subjectAltName.format", "DNS:10.0.0.5", "IP:10.0.0.5"],
      ["subjectAltName.format", "DNS:web.example.test:8443", "DNS:web.example.test"],
      [
        "subjectAltName.format",
        "DNS:https://a.example.test/x",
        "DNS:a.example.test or URI:https://a.example.test/x",
      ],
      ["subjectAltName.policy", "dns:evil.test", ".example.test"],
    ]),
  );
  expect(answer.json.detail).toContain("Ask for IP:10.0.0.5 instead.");
});

test("a user principal name within the policy and the token is issued as OpenSSL reads it", async () => {
  const answer = await post(`otherName:${upn};UTF8:alice@example.test`, ["upn:alice@example.test"]);
  expect(answer.status, answer.text).toBe(201);
  const { output } = openssl(["x509", "-in", "crt", "-noout", "-ext", "subjectAltName"], {
    crt: answer.text,
  });
  expect(output).toMatch(/othername:\s*(UPN::?)?\s*alice@example\.test/i);
});

test.each([
  [
    "a principal of another domain",
    `otherName:${upn};UTF8:alice@evil.test`,
    "subjectAltName.policy",
  ],
  [
    "one that the token does not have",
    `otherName:${upn};UTF8:bob@example.test`,
    "subjectAltName.grant",
  ],
  ["one that is no name", `otherName:${upn};UTF8:alice`, "subjectAltName.format"],
  ["an SRV-ID", "otherName:1.3.6.1.5.5.7.8.7;IA5:_ldap.example.test", "subjectAltName.kind"],
  ["a registeredID", "RID:1.2.3.4", "subjectAltName.kind"],
])("%s is refused", async (_title, names, rule) => {
  const answer = await post(names);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.violations.map((one: { rule: string }) => one.rule)).toContain(rule);
});
