/**
 * Whether what is on record is what it should be. Every certificate parses, is the one of its row
 * and verifies to its issuer. Revocations agree with their history, and the index reads back. The
 * heart of `countersign doctor` and of every test above unit level.
 */

import type { KeyObject } from "node:crypto";
import { parseIndex } from "../openssl/index-txt.ts";
import type { Profile } from "../policy/profile.ts";
import type { Store, StoredCertificate } from "../store/store.ts";
import { type Certificate, parseCertificate, verifySignedBy } from "../x509/certificate/read.ts";
import { parsePublicKey } from "../x509/key/read-public.ts";
import { toIndexLine } from "./index-line.ts";
import { issuerIdOf } from "./issuers.ts";
import { differencesOf, roleOf } from "./proof/signed.ts";

export interface ExamineOptions {
  readonly store: Store;
  /** Issuing certificates whose signatures can be verified. */
  readonly issuers: readonly Certificate[];
  /** Profiles on offer; a certificate of another profile is not held against any. */
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Whether a row is as the authority wrote it; undefined where the issuing keys are not here. */
  readonly holdsSeal: ((row: StoredCertificate) => boolean) | undefined;
  readonly now: Date;
}

export interface Examination {
  readonly certificates: number;
  /** Of other issuers, or imported without a file: there is no signature to verify. */
  readonly unverified: number;
  /** Whether the seals of the rows were verified, for which the issuing keys must be here. */
  readonly sealsVerified: boolean;
  /** One sentence each; none: all is well. At most a hundred are kept. */
  readonly findings: readonly string[];
}

const MOST_FINDINGS = 100;
const EVENTS_AT_ONCE = 1000;

/** Looks at everything on record, page by page. Throws StoreUnavailable. */
export async function examine(options: ExamineOptions): Promise<Examination> {
  const { store, now } = options;
  const findings: string[] = [...(await store.inspect())];
  const say = (finding: string) => {
    if (findings.length < MOST_FINDINGS) findings.push(finding);
  };
  const keys = new Map<string, { certificate: Certificate; key: KeyObject }>();
  for (const certificate of options.issuers) {
    const key = parsePublicKey(certificate.spki);
    if (key.ok) keys.set(issuerIdOf(certificate.spki), { certificate, key: key.value.keyObject });
  }
  const revoked = new Map<string, string>();
  let certificates = 0;
  let unverified = 0;
  for await (const page of store.streamCertificates({ now })) {
    const ders = await store.readDer(page.map((row) => row.id));
    for (const row of page) {
      certificates += 1;
      const { serial, revocation } = row;
      if (revocation) revoked.set(`${row.issuerId} ${serial}`, revocation.reason);
      const [read] = readBack(toIndexLine(row, now));
      if (read !== serial) say(`${serial}: its line of index.txt reads back as ${read}`);
      const der = ders.get(row.id);
      const issuer = keys.get(row.issuerId);
      if (issuer !== undefined && options.holdsSeal?.(row) === false) {
        say(`${serial}: ${brokenSeal(row)}`);
      }
      if (der === undefined || issuer === undefined) {
        unverified += 1;
        if (der === undefined && row.via !== "import") say(`${serial}: its bytes are missing`);
        continue;
      }
      for (const fault of faultsOf(row, der, issuer, options)) say(`${serial}: ${fault}`);
      const profile = options.profiles.get(row.profile);
      if (row.via !== "import" && profile && !obeys(row, profile)) {
        say(`${serial}: profile ${row.profile} does not allow its extendedKeyUsage today`);
      }
    }
  }
  const issuerIds = new Set([...keys.keys(), ...[...revoked.keys()].map(issuerPart)]);
  for (const issuerId of issuerIds) {
    for (const finding of await historyFaults(store, issuerId, revoked)) say(finding);
  }
  return {
    certificates,
    unverified,
    sealsVerified: options.holdsSeal !== undefined,
    findings,
  };
}

/** A seal covers what the certificate does not say itself. */
function brokenSeal({ seal }: StoredCertificate): string {
  return seal === undefined
    ? "its row has no seal: this authority did not write it"
    : "its row was altered (profile, requestedBy, via, times or lineage): the seal does not hold";
}

function faultsOf(
  row: StoredCertificate,
  der: Uint8Array,
  { certificate: issuer, key }: { certificate: Certificate; key: KeyObject },
  { profiles }: ExamineOptions,
): string[] {
  const parsed = parseCertificate(der);
  if (!parsed.ok) return [`it does not parse: ${parsed.refusal.detail}`];
  const certificate = parsed.value;
  const faults = differencesOf(row, certificate).map(
    (field) => `its bytes and its row differ in ${field}`,
  );
  const role = profiles.get(row.profile)?.role;
  if (role !== undefined && roleOf(certificate) !== role) {
    faults.push(
      `profile ${row.profile} has the role ${role}, which the certificate does not carry`,
    );
  }
  if (Buffer.compare(certificate.issuer.der, issuer.subject.der) !== 0) {
    faults.push("it names another issuer");
  }
  if (!verifySignedBy(certificate, key)) faults.push("its signature does not verify");
  return faults;
}

function obeys(row: StoredCertificate, profile: Profile): boolean {
  return row.extendedKeyUsage.every((usage) => profile.extendedKeyUsage.includes(usage));
}

/** CRLs are made of the history, OCSP answers from the rows: both must say the same. */
async function historyFaults(
  store: Store,
  issuerId: string,
  revoked: ReadonlyMap<string, string>,
): Promise<string[]> {
  const replayed = new Map<string, string>();
  let after = 0;
  for (;;) {
    const events = await store.revocationEvents(issuerId, after, EVENTS_AT_ONCE);
    for (const { serial, reason, sequence } of events) {
      after = sequence;
      if (reason === undefined) replayed.delete(`${issuerId} ${serial}`);
      else replayed.set(`${issuerId} ${serial}`, reason);
    }
    if (events.length < EVENTS_AT_ONCE) break;
  }
  const own = [...revoked].filter(([key]) => issuerPart(key) === issuerId);
  return [
    ...own
      .filter(([key, reason]) => replayed.get(key) !== reason)
      .map(([key]) => `${key}: it is revoked, but the history that CRLs are made of differs`),
    ...[...replayed.keys()]
      .filter((key) => !revoked.has(key))
      .map((key) => `${key}: CRLs have it, but its row is not revoked`),
  ];
}

function issuerPart(key: string): string {
  return key.split(" ")[0] ?? "";
}

function readBack(line: string): readonly string[] {
  const parsed = parseIndex(line);
  return parsed.ok ? parsed.value.map((entry) => entry.serial) : [parsed.refusal.detail];
}
