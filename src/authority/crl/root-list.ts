/** The root's own CRL: its key is away, so somebody has to be told in time that the list ends. */

import { existsSync, readFileSync, statSync } from "node:fs";
import type { Certificate } from "../../x509/certificate/read.ts";
import { parseCrl } from "../../x509/crl/read.ts";
import { type Issuer, issuerIdOf } from "../issuers.ts";
import type { PublishedCrl } from "./publisher.ts";

export type RootList = Pick<PublishedCrl, "der" | "thisUpdate" | "nextUpdate">;

const DAY_MS = 86_400_000;
const MOST_AHEAD_MS = 30 * DAY_MS;

/** Reads a list (DER) from a file; undefined where there is no file or no list in it. */
export function readRootList(path: string): RootList | undefined {
  if (!existsSync(path)) return undefined;
  const der = readFileSync(path);
  const parsed = parseCrl(der);
  if (!parsed.ok) return undefined;
  const { thisUpdate, nextUpdate = thisUpdate } = parsed.value;
  return { der, thisUpdate, nextUpdate };
}

/** The same, read again only when the file changes. */
export function rootListReader(path: string): () => RootList | undefined {
  let known: { changed: number; list: RootList | undefined } | undefined;
  return () => {
    if (!existsSync(path)) return undefined;
    const changed = statSync(path).mtimeMs;
    if (known?.changed !== changed) known = { changed, list: readRootList(path) };
    return known.list;
  };
}

/**
 * What is wrong with the root's list, or will be soon, in a sentence with its cure; undefined when
 * nothing is. It is told in the last quarter of the list's life, and at most thirty days ahead.
 */
export function rootListProblem(
  issuer: Pick<Issuer, "certificate" | "root">,
  list: RootList | undefined,
  now: Date,
): string | undefined {
  const cure =
    "Bring the root's key and run `countersign crl publish --root --root-key FILE`; --validity says for how long.";
  if (list === undefined) {
    return rootListUrls(issuer).length === 0
      ? undefined
      : `The issuing certificate names the root's CRL, and there is none in the data folder: clients that check the whole chain refuse every certificate. ${cure}`;
  }
  const left = list.nextUpdate.getTime() - now.getTime();
  const end = list.nextUpdate.toISOString();
  if (left <= 0) {
    return `The root's CRL ended on ${end}: clients that check the whole chain refuse every certificate. ${cure}`;
  }
  const life = list.nextUpdate.getTime() - list.thisUpdate.getTime();
  if (left >= Math.min(MOST_AHEAD_MS, life / 4) || endsWith(issuer.certificate, list)) {
    return undefined;
  }
  return `The root's CRL ends on ${end}; from then on clients that check the whole chain refuse every certificate. ${cure}`;
}

/** Where the issuing certificate says that this service publishes the root's list. */
export function rootListUrls({
  certificate,
  root,
}: Pick<Issuer, "certificate" | "root">): readonly string[] {
  const path = `/crl/${issuerIdOf(root.spki)}.crl`;
  return certificate.crlDistributionPoints.filter((url) => url.endsWith(path));
}

/** A list that lives as long as the issuing certificate needs no next one. */
function endsWith({ notAfter }: Certificate, { nextUpdate }: RootList): boolean {
  return nextUpdate >= notAfter;
}
