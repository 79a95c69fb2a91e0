import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { issue } from "../../../src/authority/issue.ts";
import { IssuingKeys } from "../../../src/authority/issuing-key.ts";
import { keySigner, readPrivateKey } from "../../../src/authority/signer/key-file.ts";
import { Templates } from "../../../src/authority/templates.ts";
import { decodePem } from "../../../src/der/pem.ts";
import type { CertificateContent } from "../../../src/x509/certificate/template.ts";
import { verifyRequest } from "../../../src/x509/csr/read.ts";
import { makeName } from "../../../src/x509/name/read.ts";
import { makeCsr, newKey } from "../../helpers/authority.ts";
import { useAuthority } from "../../helpers/use-authority.ts";

const authority = useAuthority();

/** Issues with templates whose content passes through `change` on its way to the encoder. */
async function issueWith(
  change: (content: CertificateContent) => CertificateContent,
  flipSignature = false,
) {
  const { issuer, parts } = await internals();
  const real = new Templates(() => ({
    crlDistributionPoints: [],
    ocspUrls: [],
    caIssuersUrls: [],
  }));
  const templates = {
    for: (...args: Parameters<Templates["for"]>) => {
      const template = real.for(...args);
      return { encode: (content: CertificateContent) => template.encode(change(content)) };
    },
    lintShape: () => [],
  } as unknown as Templates;
  const wide = keySigner(readPrivateKey(join(authority.folder, "issuing.key")));
  const sign = async (tbs: Uint8Array) => {
    const signature = Uint8Array.from(await wide.sign(tbs));
    if (flipSignature) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
    return signature;
  };
  const keys = new IssuingKeys({ issuer, signer: { ...wide, sign } });
  const request = verifyRequest(
    decodePem(makeCsr({ key: newKey(), sans: ["dns:web.example.test"] }))[0]?.der ??
      new Uint8Array(),
  );
  if (!request.ok) throw new Error(request.refusal.detail);
  const profile = authority.service.authority.profiles.get("server");
  if (!profile) throw new Error("no profile");
  return issue(
    { ...parts, templates, keys },
    {
      action: "issue",
      issuer,
      request: request.value,
      grant: {
        via: "operator",
        requestedBy: "test",
        profile: "server",
        commonName: undefined,
        names: undefined,
      },
      profile,
      validity: {},
      caller: { kind: "internal", requestId: "self-check", address: undefined, reason: "test" },
      now: new Date(),
      spends: [],
    },
  );
}

const alarms: string[] = [];
async function internals() {
  const issuer = authority.service.authority.issuers.active;
  const { store } = authority.service;
  return {
    issuer,
    parts: { store, blockedKeys: new Set<string>(), alarm: (text: string) => alarms.push(text) },
  };
}

const rows = async () =>
  (await authority.call("GET", "/v1/certificates?limit=1000", { as: authority.operator })).json
    .items.length;

describe("the self-check before anything leaves (S-12)", () => {
  test("passes what is as it was decided", async () => {
    const before = await rows();
    expect((await issueWith((content) => content)).ok).toBe(true);
    expect(await rows()).toBe(before + 1);
  });

  const changes: [string, (content: CertificateContent) => CertificateContent, boolean?][] = [
    ["another serial", (content) => ({ ...content, serial: "40aabbccddeeff00112233445566778899" })],
    [
      "a second more of life",
      (content) => ({ ...content, notAfter: new Date(content.notAfter.getTime() + 1000) }),
    ],
    [
      "an earlier start",
      (content) => ({ ...content, notBefore: new Date(content.notBefore.getTime() - 1000) }),
    ],
    [
      "another subject",
      (content) => ({ ...content, subject: makeName([{ type: "CN", value: "root" }]) }),
    ],
    ["no names", (content) => ({ ...content, subjectAltNames: [] })],
    [
      "a name more",
      (content) => ({
        ...content,
        subjectAltNames: [...content.subjectAltNames, { kind: "dns", value: "evil.example.test" }],
      }),
    ],
    ["a signature that does not verify", (content) => content, true],
  ];
  test.each(changes)(
    "stops %s: nothing issued, nothing recorded, loud in the audit",
    async (_name, change, flip) => {
      const before = await rows();
      alarms.length = 0;
      await expect(issueWith(change, flip)).rejects.toThrow("self-check failed");
      expect(await rows()).toBe(before);
      expect(alarms).toHaveLength(1);
      const audit = await authority.call("GET", "/v1/audit?verdict=error&limit=1", {
        as: authority.operator,
      });
      expect(audit.json.items).toMatchObject([
        { code: "internal-error", detail: { selfCheck: expect.any(Array) } },
      ]);
    },
  );
});
