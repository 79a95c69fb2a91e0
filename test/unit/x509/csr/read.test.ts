import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { encodePem } from "../../../../src/der/pem.ts";
import { encodeRequest } from "../../../../src/x509/csr/encode.ts";
import { requestBytes, verifyRequest } from "../../../../src/x509/csr/read.ts";
import { makeName } from "../../../../src/x509/name/read.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const subject = makeName([{ type: "CN", value: "web" }]);
const der = encodeRequest({
  subject,
  subjectAltNames: [{ kind: "dns", value: "web.example.test" }],
  privateKey,
});
const code = (outcome: ReturnType<typeof verifyRequest | typeof requestBytes>) =>
  outcome.ok ? "ok" : outcome.refusal.code;

test("a request that we encode verifies and keeps its names", () => {
  const outcome = verifyRequest(der);
  expect(outcome.ok && outcome.value.subjectAltNames).toEqual([
    { kind: "dns", value: "web.example.test" },
  ]);
});

test("no single changed byte and no truncation gives a verified request", () => {
  for (let at = 0; at < der.length; at++) {
    const changed = Uint8Array.from(der);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    expect(verifyRequest(changed).ok, `byte ${at}`).toBe(false);
    expect(code(verifyRequest(der.subarray(0, at)))).toBe("malformed-csr");
  }
});

test("a private key is named as such in every form, two requests are refused", () => {
  const pem = encodePem("CERTIFICATE REQUEST", der);
  for (const type of ["pkcs8", "sec1"] as const) {
    expect(code(requestBytes(privateKey.export({ type, format: "der" })))).toBe(
      "private-key-posted",
    );
    const text = privateKey.export({ type, format: "pem" });
    expect(code(requestBytes(Buffer.from(pem + text)))).toBe("private-key-posted");
  }
  expect(code(requestBytes(Buffer.from(pem + pem)))).toBe("malformed-csr");
  expect(code(requestBytes(Buffer.from(`Certificate Request:\r\n${pem}`)))).toBe("ok");
});
