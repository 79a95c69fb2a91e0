/** Keys and certificates made with the encoders under test, and the programs that judge them. */

import { spawnSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePem } from "../../src/der/pem.ts";
import { type Certificate, parseCertificate } from "../../src/x509/certificate/read.ts";
import {
  assembleCertificate,
  type CertificateContent,
  compileTemplate,
  type TemplateOptions,
} from "../../src/x509/certificate/template.ts";
import { publicKeyOf } from "../../src/x509/key/read-public.ts";
import {
  nodeSignOptions,
  type SignatureAlgorithm,
} from "../../src/x509/key/signature-algorithm.ts";
import type { GeneralName } from "../../src/x509/name/general-name.ts";
import { type DistinguishedName, makeName } from "../../src/x509/name/read.ts";

export interface Party {
  readonly key: KeyObject;
  readonly algorithm: SignatureAlgorithm;
  readonly certificate: Certificate;
}

const caUsage = ["keyCertSign", "cRLSign"] as const;
export const caKeyUsage = { ec: caUsage, rsa: caUsage, ed: caUsage };
export const leafKeyUsage = {
  ec: ["digitalSignature"],
  rsa: ["digitalSignature", "keyEncipherment"],
  ed: ["digitalSignature"],
} as const;
export const serverAuth = "1.3.6.1.5.5.7.3.1";
export const clientAuth = "1.3.6.1.5.5.7.3.2";

export const now = new Date("2026-11-23T12:00:00Z");
export const day = 86_400_000;

export function newKey(algorithm: SignatureAlgorithm): KeyObject {
  switch (algorithm) {
    case "ecdsa-with-SHA256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    case "ecdsa-with-SHA384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    case "ecdsa-with-SHA512":
      return generateKeyPairSync("ec", { namedCurve: "P-521" }).privateKey;
    case "Ed25519":
      return generateKeyPairSync("ed25519").privateKey;
    case "Ed448":
      return generateKeyPairSync("ed448").privateKey;
    default:
      return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  }
}

export function newSerial(): string {
  const octets = randomBytes(17);
  octets[0] = (octets[0]! & 0x7f) | 0x40;
  return octets.toString("hex");
}

export function signBytes(
  tbs: Uint8Array,
  key: KeyObject,
  algorithm: SignatureAlgorithm,
): Uint8Array {
  const { digest, ...padding } = nodeSignOptions(algorithm);
  return sign(digest, tbs, { key, ...padding });
}

/** Encodes and signs; the result is DER. */
export function issue(
  issuer: Pick<Party, "key" | "algorithm">,
  options: Omit<TemplateOptions, "signatureAlgorithm">,
  content: Omit<CertificateContent, "serial"> & { serial?: string },
): Uint8Array {
  const template = compileTemplate({ ...options, signatureAlgorithm: issuer.algorithm });
  const tbs = template.encode({ serial: newSerial(), ...content });
  return assembleCertificate(tbs, issuer.algorithm, signBytes(tbs, issuer.key, issuer.algorithm));
}

export function mustParse(der: Uint8Array): Certificate {
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
}

export function newRoot(algorithm: SignatureAlgorithm = "ecdsa-with-SHA256"): Party {
  const key = newKey(algorithm);
  const publicKey = publicKeyOf(key);
  const subject = makeName([
    { type: "C", value: "IN" },
    { type: "O", value: "Example" },
    { type: "CN", value: "Example Root" },
  ]);
  const notAfter = new Date(now.getTime() + 3650 * day);
  const der = issue(
    { key, algorithm },
    {
      issuer: { subject, subjectKeyIdentifier: publicKey.keyIdentifier, notAfter },
      keyUsage: caKeyUsage,
      extendedKeyUsage: [],
      ca: {},
    },
    { subject, publicKey, subjectAltNames: [], notBefore: new Date(now.getTime() - day), notAfter },
  );
  return { key, algorithm, certificate: mustParse(der) };
}

export function newIssuing(
  root: Party,
  algorithm: SignatureAlgorithm = "ecdsa-with-SHA256",
  commonName = "Example Issuing",
): Party {
  const key = newKey(algorithm);
  const der = issue(
    root,
    {
      issuer: root.certificate,
      keyUsage: caKeyUsage,
      extendedKeyUsage: [],
      ca: { pathLength: 0 },
      crlDistributionPoints: ["http://ca.example.test/crl/root.crl"],
    },
    {
      subject: makeName([
        { type: "C", value: "IN" },
        { type: "O", value: "Example" },
        { type: "CN", value: commonName },
      ]),
      publicKey: publicKeyOf(key),
      subjectAltNames: [],
      notBefore: new Date(now.getTime() - day),
      notAfter: new Date(now.getTime() + 1000 * day),
    },
  );
  return { key, algorithm, certificate: mustParse(der) };
}

export const urls = {
  crlDistributionPoints: ["http://ca.example.test/crl/a.crl"],
  ocspUrls: ["http://ca.example.test/ocsp"],
  caIssuersUrls: ["http://ca.example.test/issuers/a.crt"],
};

export function newLeaf(
  issuer: Party,
  options: {
    key?: KeyObject;
    subject?: DistinguishedName;
    names?: readonly GeneralName[];
    serial?: string;
    template?: Partial<TemplateOptions>;
  } = {},
): Certificate {
  const der = issue(
    issuer,
    {
      issuer: issuer.certificate,
      keyUsage: leafKeyUsage,
      extendedKeyUsage: [serverAuth, clientAuth],
      ...urls,
      ...options.template,
    },
    {
      ...(options.serial !== undefined && { serial: options.serial }),
      subject:
        options.subject ??
        makeName([
          { type: "C", value: "IN" },
          { type: "CN", value: "web" },
        ]),
      publicKey: publicKeyOf(options.key ?? newKey("ecdsa-with-SHA256")),
      subjectAltNames: options.names ?? [{ kind: "dns", value: "web.example.test" }],
      notBefore: new Date(now.getTime() - day),
      notAfter: new Date(now.getTime() + 30 * day),
    },
  );
  return mustParse(der);
}

export function pemOf(...certificates: readonly Certificate[]): string {
  return certificates.map((one) => encodePem("CERTIFICATE", one.der)).join("");
}

/** Seconds since 1970 of `now`, for `-attime`. */
export const attime = String(now.getTime() / 1000);

/**
 * Runs openssl in a folder that holds the given files and is gone afterwards; `written` is what it
 * left in the file `out`.
 */
export function openssl(
  args: readonly string[],
  files: Readonly<Record<string, string | Uint8Array>> = {},
): { readonly status: number | null; readonly output: string; readonly written: Uint8Array } {
  const folder = mkdtempSync(join(tmpdir(), "countersign-openssl-"));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const run = spawnSync("openssl", args, { cwd: folder });
    if (run.error) throw run.error;
    const output = run.stdout.toString() + run.stderr.toString();
    const out = join(folder, "out");
    const written = existsSync(out) ? new Uint8Array(readFileSync(out)) : new Uint8Array(0);
    return { status: run.status, output, written };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same value with every array of octets as hex, so that Buffer and Uint8Array compare equal. */
export function inHex(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(inHex);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inHex(inner)]));
}

/** A root, an issuing authority below it, and a key for certificates. */
export function newChain() {
  const root = newRoot();
  return { root, issuing: newIssuing(root), key: newKey("ecdsa-with-SHA256") };
}
