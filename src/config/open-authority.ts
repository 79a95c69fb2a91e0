/** From a compiled configuration to a working authority: engine and signer are chosen here. */

import { readFileSync } from "node:fs";
import { Authority } from "../authority/authority.ts";
import {
  completeCrl,
  crlPartitions,
  crlUrl,
  partitionedFact,
  partitionsFact,
} from "../authority/crl/scope.ts";
import { assembleIssuer, type Issuer } from "../authority/issuer.ts";
import { defaultAlgorithm, keySigner, readPrivateKey } from "../authority/signer/key-file.ts";
import { type PublicUrls, Templates } from "../authority/templates.ts";
import { openTokenDesk } from "../authority/token/desk.ts";
import { TokenKey, type TokenSettings } from "../authority/token/own.ts";
import { subjectPolicyProblems } from "../policy/subject.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { type Certificate, parseCertificateChain } from "../x509/certificate/read.ts";
import { publicKeyOf } from "../x509/key/read-public.ts";
import { fitsKey } from "../x509/key/signature-algorithm.ts";
import type { CompiledConfig } from "./compile.ts";

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
  readonly issuer: Issuer;
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
  const issuer = openIssuer(config, clock());
  checkProfiles(config, issuer);
  const tokenKey = await openTokenKey(config, issuer.root.sha256);
  const { alarm: log, exclusive } = options;
  const store = options.store ?? (await openStore(config.database.reveal(), { exclusive, log }));
  const { partitions } = config.crl;
  // Before the first certificate names its list: only counts that were used are served.
  if (partitions > 1) {
    await store.putFact(partitionsFact(issuer.id, partitions), clock().toISOString());
    await store.putFact(partitionedFact(issuer.id), String(partitions));
  }
  const authority = new Authority({
    name: config.name,
    issuer,
    templates: new Templates(issuer, publicUrls(config, issuer.id)),
    store,
    profiles: config.profiles,
    tokens: openTokenDesk(tokenKey, config.name, config.tokens.issuers),
    blockedKeys: config.blockedKeys,
    clock,
    alarm: options.alarm,
  });
  return { authority, store, issuer };
}

/** Loads issuing certificate, chain, root and key. Throws when one cannot be read or used. */
export function openIssuer(config: CompiledConfig, now: Date): Issuer {
  const [issuing] = readCertificates(config.issuer.certificate);
  const [root] = readCertificates(config.rootCertificate);
  if (issuing === undefined || root === undefined) {
    throw new UnusableAuthority(
      `${config.issuer.certificate} or ${config.rootCertificate} holds no certificate`,
    );
  }
  const above = readCertificates(config.issuer.chain).filter(
    (one) => one.sha256 !== issuing.sha256 && one.sha256 !== root.sha256,
  );
  const key = readPrivateKey(config.issuer.key, config.issuer.passphrase?.reveal());
  const { signatureAlgorithm = defaultAlgorithm(key) } = config.issuer;
  if (!fitsKey(signatureAlgorithm, key)) {
    throw new UnusableAuthority(
      `issuer.signatureAlgorithm: the issuing key (${publicKeyOf(key).keyType}) cannot sign with ${signatureAlgorithm}`,
    );
  }
  return assembleIssuer([issuing, ...above], root, keySigner(key, signatureAlgorithm), now);
}

/** The key that mints and reads enrolment tokens of this authority. */
export function openTokenKey(config: CompiledConfig, rootSha256: string): Promise<TokenKey> {
  const settings: TokenSettings = {
    authorityName: config.name,
    audience: `${config.publicUrl.origin}/v1/certificates`,
    rootSha256,
    defaultTtlSeconds: config.tokens.ttlSeconds,
    maxTtlSeconds: config.tokens.maxTtlSeconds,
  };
  return TokenKey.from(
    settings,
    readPrivateKey(config.tokenKey, config.issuer.passphrase?.reveal()),
  );
}

/** `match` on what the CA lacks is told at start, not at the first request (S-26; openssl-ca(1)). */
export function checkProfiles(config: CompiledConfig, issuer: Issuer): void {
  const problems = [...config.profiles.values()].flatMap((profile) =>
    subjectPolicyProblems(profile.subject, issuer.certificate.subject).map(
      (problem) => `profile ${profile.name}: ${problem}`,
    ),
  );
  if (problems.length > 0) throw new UnusableAuthority(problems.join("\n"));
}

/** Configuration, keys and certificates do not belong together; the message is for people. */
export class UnusableAuthority extends Error {
  override readonly name = "UnusableAuthority";
}

function readCertificates(path: string): readonly Certificate[] {
  let pem: string;
  try {
    pem = readFileSync(path, "utf8");
  } catch (error) {
    throw new UnusableAuthority(
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const chain = parseCertificateChain(pem);
  if (!chain.ok) throw new UnusableAuthority(`${path}: ${chain.refusal.detail}`);
  return chain.value;
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
    caIssuersUrls: [`${base}/issuers/${issuerId}.crt`],
  };
}
