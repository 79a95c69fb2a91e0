/**
 * Takes over the index of another CA with the same key: rows, certificates, revocations, and the
 * number that the next CRL must exceed. Everything is judged first; then it is written.
 */

import { type KeyObject, X509Certificate } from "node:crypto";
import { auditLine } from "../../authority/audit.ts";
import { crlSequence, wholeScope } from "../../authority/crl/scope.ts";
import { issuerIdOf } from "../../authority/issuers.ts";
import { sealRow } from "../../authority/proof/seal.ts";
import { usagesOf } from "../../authority/proof/signed.ts";
import type { IndexEntry } from "../../openssl/index-txt.ts";
import type { NewCertificate, NewIssuance, RevocationReason, Store } from "../../store/store.ts";
import { type Certificate, parseCertificate } from "../../x509/certificate/read.ts";
import { parsePublicKey } from "../../x509/key/read-public.ts";
import { formatGeneralName } from "../../x509/name/general-name.ts";
import { nameOfOneline } from "../../x509/name/oneline.ts";
import { commonNameOf, formatName } from "../../x509/name/read.ts";

export interface AdoptionInput {
  readonly issuer: Certificate;
  readonly rows: readonly IndexEntry[];
  /** The certificate (DER) of a serial, and the file it was in. */
  readonly fileOf: (
    serial: string,
  ) => { readonly der: Uint8Array; readonly file: string } | undefined;
  /** Which profile renews a certificate of these usages (dotted OIDs). */
  readonly profileOf: (usages: readonly string[]) => string;
  readonly now: Date;
}

export interface AdoptedRow {
  readonly certificate: NewCertificate;
  readonly der: Uint8Array | undefined;
  readonly revocation: { readonly at: Date; readonly reason: RevocationReason } | undefined;
  readonly parsed: Certificate | undefined;
}

export interface Adoption {
  readonly rows: readonly AdoptedRow[];
  /** Sentences on files that contradict the index: nothing is taken over then. */
  readonly faults: readonly string[];
}

/** Judges every row. */
export function prepareAdoption(input: AdoptionInput): Adoption {
  const faults: string[] = [];
  const rows = input.rows.map((row): AdoptedRow => {
    const found = input.fileOf(row.serial);
    const parsed = found === undefined ? undefined : readFile(found, row, input.issuer, faults);
    return {
      certificate: parsed === undefined ? bareRow(row, input) : fullRow(row, parsed, input),
      der: parsed?.der,
      parsed,
      revocation: row.revocation && {
        at: row.revocation.at,
        reason: reasonOf(row.revocation.reason),
      },
    };
  });
  return { rows, faults };
}

/** Rows that are written in one go: enough for one commit to carry many, few enough for memory. */
const BATCH = 500;

/**
 * Writes an adoption into an empty store. `crlNumber` is the number that the old CA would have used
 * next; the next CRL gets that or a greater one. `sealKey` is that of the issuer's signer.
 */
export async function carryOut(
  store: Store,
  adoption: Adoption,
  issuer: Certificate,
  sealKey: KeyObject,
  crlNumber: number,
  now: Date,
): Promise<void> {
  const by = "import";
  const caller = { kind: "internal", requestId: by, address: undefined, reason: by } as const;
  const issuerId = issuerIdOf(issuer.spki);
  for (let from = 0; from < adoption.rows.length; from += BATCH) {
    const batch = adoption.rows.slice(from, from + BATCH);
    const line = (action: "import" | "revoke", serial: string) =>
      auditLine(caller, now, { action, verdict: "accepted", serial, detail: {} });
    await Promise.all(
      batch.map(({ certificate: row, der }) => {
        const certificate = { ...row, seal: sealRow(sealKey, row) };
        const audit = line("import", certificate.serial);
        const issuance: NewIssuance = { certificate, der, audit, spends: [] };
        return store.recordIssuance(issuance);
      }),
    );
    await Promise.all(
      batch.flatMap(({ certificate: { serial }, revocation }) =>
        revocation === undefined
          ? []
          : [store.revoke(issuerId, serial, { ...revocation, by }, line("revoke", serial))],
      ),
    );
  }
  if (crlNumber > 1) await store.nextNumber(crlSequence(issuerId, wholeScope), crlNumber - 1);
}

function readFile(
  { der, file }: { readonly der: Uint8Array; readonly file: string },
  row: IndexEntry,
  issuer: Certificate,
  faults: string[],
): Certificate | undefined {
  const parsed = parseCertificate(der);
  const say = (problem: string) => {
    faults.push(`${file}: ${problem}.`);
    return undefined;
  };
  if (!parsed.ok) return say(parsed.refusal.detail);
  const certificate = parsed.value;
  if (certificate.serial !== row.serial) {
    return say(`this is certificate ${certificate.serial}, not ${row.serial} of the index`);
  }
  // Node's own reader knows the signatures of old (SHA-1), which new certificates never get.
  const issuerKey = new X509Certificate(issuer.der).publicKey;
  if (!new X509Certificate(der).verify(issuerKey)) {
    return say(
      "it was not signed by the key of the CA; a serial collision, or the file of another CA",
    );
  }
  if (Math.abs(certificate.notAfter.getTime() - row.notAfter.getTime()) >= 1000) {
    return say(
      `it ends on ${certificate.notAfter.toISOString()}, the index says ${row.notAfter.toISOString()}`,
    );
  }
  return certificate;
}

function fullRow(row: IndexEntry, certificate: Certificate, input: AdoptionInput): NewCertificate {
  const key = parsePublicKey(certificate.spki);
  const usages = usagesOf(certificate);
  const { subject, notBefore, notAfter } = certificate;
  return {
    ...common(row, input, notBefore),
    sha256: certificate.sha256,
    spkiSha256: certificate.spkiSha256,
    profile: input.profileOf(usages),
    subject: formatName(subject),
    subjectDer: subject.der,
    commonName: commonNameOf(subject),
    subjectAltNames: certificate.subjectAltNames.map(formatGeneralName),
    extendedKeyUsage: usages,
    keyType: key.ok ? key.value.keyType : "unknown",
    renewAfter: new Date(notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) / 3),
  };
}

/** A row whose certificate is gone: it keeps its place in the index and in CRLs, and proves nothing. */
function bareRow(row: IndexEntry, input: AdoptionInput): NewCertificate {
  const subject = nameOfOneline(row.subject);
  return {
    ...common(row, input, input.issuer.notBefore),
    sha256: undefined,
    spkiSha256: undefined,
    profile: input.profileOf([]),
    subject: formatName(subject),
    subjectDer: subject.der,
    commonName: commonNameOf(subject),
    subjectAltNames: [],
    extendedKeyUsage: [],
    keyType: "unknown",
    renewAfter: row.notAfter,
  };
}

function common(row: IndexEntry, input: AdoptionInput, notBefore: Date) {
  return {
    issuerId: issuerIdOf(input.issuer.spki),
    serial: row.serial,
    notBefore,
    notAfter: row.notAfter,
    issuedAt: notBefore,
    requestedBy: "import",
    via: "import",
    lineage: row.serial,
    lineageStartedAt: notBefore,
    replaces: undefined,
  };
}

/** `removeFromCRL` on a revoked row is a slip of the pen: the row stays revoked. */
function reasonOf(written: string | undefined): RevocationReason {
  return written === undefined || written === "removeFromCRL"
    ? "unspecified"
    : (written as RevocationReason);
}
