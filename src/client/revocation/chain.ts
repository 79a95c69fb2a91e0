/** Finds the way from a certificate to a root that is trusted, within a budget of work (RFC 4158). */

import { type KeyObject, X509Certificate } from "node:crypto";
import {
  type Certificate,
  parseCertificateChain,
  verifySignedBy,
} from "../../x509/certificate/read.ts";
import { extensionOids } from "../../x509/extensions/encode.ts";
import { readWholeKeyIdentifier } from "../../x509/extensions/read-key-identifier.ts";
import { parsePublicKey } from "../../x509/key/read-public.ts";
import { brokenAlgorithm } from "../../x509/key/read-signature-algorithm.ts";
import { canonicalName } from "../../x509/name/canonical.ts";
import { issuerProblem, type Purpose, pathProblem } from "./path-rules.ts";

/** Certificates from the end entity to the root, both included. */
const LONGEST = 16;
/** Signatures that are verified for one certificate; the slowest of them takes about a millisecond. */
const MOST_SIGNATURES = 48;
/** Issuers that are looked at for one certificate, signatures known already included. */
const MOST_STEPS = 2_000;
/** Whole paths that are held against the rules for one certificate. */
const MOST_PATHS = 32;
/** Signatures between CAs that are remembered. */
const MOST_REMEMBERED = 10_000;

export type PathOutcome =
  | { readonly path: readonly Certificate[] }
  /** A clause without a subject: `does not lead to …`. */
  | { readonly why: string };

interface Issuer {
  readonly certificate: Certificate;
  /** Undefined when the key cannot be used. */
  readonly key: KeyObject | undefined;
  readonly isRoot: boolean;
  /** Name and key: what a path needs only once (RFC 4158 2.4.2). */
  readonly entity: string;
}

/** The CAs that are known: roots, which are trusted, and those between them and the peers. */
export class Authorities {
  readonly roots: readonly Certificate[];
  readonly #bySubject = new Map<string, Issuer[]>();
  readonly #remembered = new Map<string, boolean>();

  /** `roots` default to those of `all` that are self-signed. */
  constructor(
    all: readonly Certificate[],
    roots: readonly Certificate[] = all.filter(isSelfSigned),
  ) {
    this.roots = roots;
    const known = new Set<string>();
    for (const certificate of [...roots, ...all]) {
      if (known.has(certificate.sha256)) continue;
      known.add(certificate.sha256);
      const subject = canonicalName(certificate.subject);
      const issuer = {
        certificate,
        key: keyOf(certificate),
        isRoot: roots.includes(certificate),
        entity: `${certificate.spkiSha256} ${subject}`,
      };
      const same = this.#bySubject.get(subject);
      if (same === undefined) this.#bySubject.set(subject, [issuer]);
      else same.push(issuer);
    }
  }

  /**
   * The shortest way from `leaf` to a root, every certificate in force at `now`, every rule of
   * `path-rules.ts` kept. The work for it is bounded; beyond the bound the answer is no.
   */
  findPath(leaf: Certificate, now: Date, purpose?: Purpose): PathOutcome {
    const search: Search = { leaf, now, signatures: 0, steps: 0, paths: 0, why: "" };
    // A certificate that is trusted itself, as `openssl verify -CAfile` does.
    if (this.roots.some(({ sha256 }) => sha256 === leaf.sha256)) {
      const problem = pathProblem([leaf], purpose);
      return problem === undefined ? { path: [leaf] } : { why: problem };
    }
    const own = `${leaf.spkiSha256} ${canonicalName(leaf.subject)}`;
    const queue = [{ path: [leaf], entities: new Set([own]) }];
    for (let at = 0; at < queue.length; at++) {
      const { path, entities } = queue[at] as (typeof queue)[number];
      const last = path.at(-1) as Certificate;
      for (const issuer of this.#candidates(last)) {
        if (!issuer.isRoot && entities.has(issuer.entity)) continue;
        if (++search.steps > MOST_STEPS) return exhausted(`${MOST_STEPS} possible issuers`);
        if (!this.#mayIssue(issuer, last, search)) {
          if (search.signatures > MOST_SIGNATURES) {
            return exhausted(`${MOST_SIGNATURES} signatures`);
          }
          continue;
        }
        const longer = [...path, issuer.certificate];
        if (!issuer.isRoot) {
          if (longer.length < LONGEST) {
            queue.push({ path: longer, entities: new Set([...entities, issuer.entity]) });
          } else search.why ||= `leads over more than ${LONGEST} certificates`;
          continue;
        }
        if (++search.paths > MOST_PATHS) return exhausted(`${MOST_PATHS} paths`);
        const problem = pathProblem(longer, purpose);
        if (problem === undefined) return { path: longer };
        search.why = `does not lead to a trusted root: ${problem}`;
      }
    }
    const broken = brokenAlgorithm(leaf.signatureAlgorithm);
    if (search.why === "" && broken !== undefined) {
      return { why: `is signed with ${broken}, which is not accepted` };
    }
    return { why: search.why || "does not lead to a trusted root" };
  }

  /** Those with the name of its issuer; roots first, then the newest. */
  #candidates(certificate: Certificate): readonly Issuer[] {
    const named = this.#bySubject.get(canonicalName(certificate.issuer)) ?? [];
    return named
      .filter((one) => isMeant(certificate, one.certificate))
      .sort(
        (a, b) =>
          Number(b.isRoot) - Number(a.isRoot) ||
          b.certificate.notBefore.getTime() - a.certificate.notBefore.getTime(),
      );
  }

  #mayIssue({ certificate, key, isRoot }: Issuer, child: Certificate, search: Search): boolean {
    const problem =
      issuerProblem(certificate, isRoot) ??
      (isValidAt(certificate, search.now) ? undefined : "is not in force now") ??
      (key === undefined ? "has a key that cannot be used" : undefined);
    if (problem !== undefined) {
      search.why ||= `does not lead to a trusted root: CA certificate ${certificate.serial} ${problem}`;
      return false;
    }
    if (key === undefined) return false;
    const pair = `${child.sha256} ${certificate.spkiSha256}`;
    const known = this.#remembered.get(pair) ?? search.leafSignatures?.get(pair);
    if (known !== undefined) return known;
    if (++search.signatures > MOST_SIGNATURES) return false;
    const verified = verifySignedBy(child, key);
    if (child === search.leaf) {
      search.leafSignatures ??= new Map();
      search.leafSignatures.set(pair, verified);
    } else {
      if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
      this.#remembered.set(pair, verified);
    }
    return verified;
  }
}

/** Whether an authorityKeyIdentifier is about this issuer (RFC 5280 4.2.1.1): key, serial and name. */
function isMeant(certificate: Certificate, issuer: Certificate): boolean {
  const extension = certificate.extensions.get(extensionOids.authorityKeyIdentifier);
  if (extension === undefined) return true;
  const { keyIdentifier, issuerName, serial } = readWholeKeyIdentifier(extension.value);
  const own = issuer.subjectKeyIdentifier;
  if (keyIdentifier !== undefined && own !== undefined && Buffer.compare(keyIdentifier, own) !== 0)
    return false;
  if (serial !== undefined && serial !== issuer.serial) return false;
  return issuerName === undefined || canonicalName(issuerName) === canonicalName(issuer.issuer);
}

interface Search {
  readonly leaf: Certificate;
  readonly now: Date;
  signatures: number;
  steps: number;
  paths: number;
  /** The first reason found, for people. */
  why: string;
  /** Kept for this search alone: leaves come and go. */
  leafSignatures?: Map<string, boolean>;
}

function exhausted(work: string): PathOutcome {
  return {
    why: `does not lead to a trusted root within ${work}: too many CAs sign each other; leave those out of ca that are not needed`,
  };
}

/** The path from `leaf` to a root through `issuers`, each in force at `now`; undefined: there is none. */
export function findPath(
  leaf: Certificate,
  issuers: readonly Certificate[],
  roots: readonly Certificate[],
  now: Date,
): readonly Certificate[] | undefined {
  if (!isValidAt(leaf, now)) return undefined;
  const outcome = new Authorities(issuers, roots).findPath(leaf, now);
  return "path" in outcome ? outcome.path : undefined;
}

/** Inclusive at both ends (RFC 5280 4.1.2.5). */
export function isValidAt(certificate: Certificate, now: Date): boolean {
  return certificate.notBefore <= now && now <= certificate.notAfter;
}

/** Whether a certificate was signed with its own key; only then can it be a root. */
function isSelfSigned(certificate: Certificate): boolean {
  if (canonicalName(certificate.issuer) !== canonicalName(certificate.subject)) return false;
  try {
    // By OpenSSL, which knows algorithms that are too weak for anything but a root's own signature.
    const own = new X509Certificate(certificate.der);
    return own.verify(own.publicKey);
  } catch {
    return false;
  }
}

/** Also of kinds that we do not certify: these certificates are the operator's choice. */
export function keyOf(certificate: Certificate): KeyObject | undefined {
  const key = parsePublicKey(certificate.spki);
  if (key.ok) return key.value.keyObject;
  try {
    return new X509Certificate(certificate.der).publicKey;
  } catch {
    return undefined;
  }
}

/** Certificates of a PEM text; throws RangeError with what is wrong. */
export function readCertificates(pem: string): readonly Certificate[] {
  const parsed = parseCertificateChain(pem, { trailingZeroBits: true });
  if (!parsed.ok) throw new RangeError(parsed.refusal.detail);
  return parsed.value;
}
