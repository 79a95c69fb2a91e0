/** From a compiled configuration to a working authority: engine and signer are chosen here. */

import { Authority, type AuthorityRules } from "../authority/authority.ts";
import { recordAddress } from "../authority/crl/addresses.ts";
import { CrlPublishers, type CrlTerms } from "../authority/crl/publishers.ts";
import { completeCrl, crlPartitions, crlUrl, partitionsFact } from "../authority/crl/scope.ts";
import { assembleIssuer, type Issuer, issuerUrl } from "../authority/issuers.ts";
import { type IssuerWithKey, IssuingKeys } from "../authority/issuing-key.ts";
import { defaultAlgorithm, keySigner, readPrivateKey } from "../authority/signer/key-file.ts";
import { type PublicUrls, Templates } from "../authority/templates.ts";
import { openTokenDesk } from "../authority/token/desk.ts";
import { subjectPolicyProblems } from "../policy/subject.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { type CertificateFile, readCertificateFile } from "../x509/certificate/read-file.ts";
import { publicKeyOf } from "../x509/key/read-public.ts";
import { fitsKey } from "../x509/key/signature-algorithm.ts";
import type { CompiledConfig, IssuerFiles } from "./compile.ts";
import { openTokenKey } from "./open-token-key.ts";
import { UnusableAuthority } from "./unusable.ts";

export interface OpenOptions {
  readonly alarm: (message: string, fields: Record<string, unknown>) => void;
  readonly clock?: () => Date;
  /** Whether this process is the one that serves: only one may, on one SQLite file. */
  readonly exclusive: boolean;
  /** A store that is open already, instead of the configuration's. */
  readonly store?: Store | undefined;
}

export interface OpenedAuthority {
  readonly authority: Authority;
  readonly store: Store;
  /** What publishes the lists of each issuer. */
  readonly crls: CrlPublishers;
}

/**
 * Opens store, keys and certificates and proves that they belong together.
 * Throws an Error in one sentence for people when they do not.
 */
export async function openAuthority(
  config: CompiledConfig,
  options: OpenOptions,
): Promise<OpenedAuthority> {
  const clock = options.clock ?? (() => new Date());
  const keys = openIssuingKeys(config, clock());
  const { active } = keys.issuers;
  const { alarm: log, exclusive } = options;
  const store = options.store ?? (await openStore(config.database.reveal(), { exclusive, log }));
  const rules = await openRules(config, active, store, clock()).catch(async (error: unknown) => {
    if (options.store === undefined) await store.close();
    throw error;
  });
  const authority = new Authority({
    name: config.name,
    keys,
    store,
    ...rules,
    clock,
    alarm: options.alarm,
  });
  return { authority, store, crls: openCrls(config, keys, store, clock) };
}

/**
 * What a reload replaces of an authority. Throws an Error in one sentence for people when something
 * of it cannot be used; nothing has changed then.
 */
export async function openRules(
  config: CompiledConfig,
  active: Issuer,
  store: Store,
  now: Date,
): Promise<AuthorityRules> {
  checkProfiles(config, active);
  const tokenKey = await openTokenKey(config, active.root.sha256);
  const { partitions } = config.crl;
  const origin = config.publicHttpUrl?.origin;
  // Before the first certificate names its list: only counts that were used are served.
  if (origin !== undefined) await recordAddress(store, active.id, origin, now);
  if (partitions > 1) {
    await store.putFact(partitionsFact(active.id, partitions), now.toISOString());
  }
  return {
    templates: new Templates((issuer) => publicUrls(config, issuer.id)),
    profiles: config.profiles,
    tokens: openTokenDesk(tokenKey, config.name, config.tokens.issuers),
    blockedKeys: config.blockedKeys,
  };
}

/** What publishes the CRLs of every issuer of a configuration. */
export function openCrls(
  config: CompiledConfig,
  keys: IssuingKeys,
  store: Store,
  clock: () => Date,
): CrlPublishers {
  return new CrlPublishers(keys, { store, clock, ...crlTerms(config) });
}

/** What of the configuration the lists go by. */
export function crlTerms(config: CompiledConfig): CrlTerms {
  const { validitySeconds, deltaValiditySeconds } = config.crl;
  return { validitySeconds, deltaValiditySeconds, origin: config.publicHttpUrl?.origin };
}

/**
 * Loads certificate, chain, root and key of every issuer. Throws an Error in one sentence for people
 * when one cannot be read or used.
 */
export function openIssuingKeys(config: CompiledConfig, now: Date): IssuingKeys {
  const [active, ...retiring] = config.issuers;
  return new IssuingKeys(
    openIssuer(active, config.rootCertificate, now),
    retiring.map((files) => openIssuer(files, config.rootCertificate, now)),
  );
}

function openIssuer(files: IssuerFiles, rootCertificate: string, now: Date): IssuerWithKey {
  const [issuing] = readCertificates(files.certificate);
  const [root] = readCertificates(rootCertificate);
  const above = readCertificates(files.chain).filter(
    (one) => one.sha256 !== issuing.sha256 && one.sha256 !== root.sha256,
  );
  const key = readPrivateKey(files.key, files.passphrase?.reveal());
  const { signatureAlgorithm = defaultAlgorithm(key) } = files;
  if (!fitsKey(signatureAlgorithm, key)) {
    throw new UnusableAuthority(
      `issuer.signatureAlgorithm: the issuing key (${publicKeyOf(key).keyType}) cannot sign with ${signatureAlgorithm}`,
    );
  }
  const signer = keySigner(key, signatureAlgorithm);
  return { issuer: assembleIssuer([issuing, ...above], root, signer, now), signer };
}

/** `match` on what the CA lacks is told at start, not at the first request (S-26; openssl-ca(1)). */
function checkProfiles(config: CompiledConfig, issuer: Issuer): void {
  const problems = [...config.profiles.values()].flatMap((profile) =>
    subjectPolicyProblems(profile.subject, issuer.certificate.subject).map(
      (problem) => `profile ${profile.name}: ${problem}`,
    ),
  );
  if (problems.length > 0) throw new UnusableAuthority(problems.join("\n"));
}

function readCertificates(path: string): CertificateFile {
  const file = readCertificateFile(path);
  if (!file.ok) throw new UnusableAuthority(file.refusal.detail);
  return file.value;
}

function publicUrls(config: CompiledConfig, issuerId: string): PublicUrls {
  const base = config.publicHttpUrl?.origin;
  if (base === undefined) return { crlDistributionPoints: [], ocspUrls: [], caIssuersUrls: [] };
  const { partitions } = config.crl;
  return {
    ...(partitions > 1
      ? {
          crlDistributionPoints: [],
          crlPartitions: crlPartitions(base, issuerId, partitions),
        }
      : { crlDistributionPoints: [crlUrl(base, issuerId, completeCrl)] }),
    ocspUrls: [`${base}/ocsp`],
    caIssuersUrls: [issuerUrl(base, issuerId)],
  };
}
