/** Whether a revocation list is about a certificate at all (RFC 5280 6.3.3 (b) and (d)). */

import type { Certificate } from "../../x509/certificate/read.ts";
import type { CrlScope, RevocationList } from "../../x509/crl/read.ts";
import { extensionOids } from "../../x509/extensions/encode.ts";
import {
  allReasons,
  type DistributionPoint,
  directoryPointName,
  type PointName,
  readDistributionPointList,
} from "../../x509/extensions/read-distribution-points.ts";
import { canonicalRdns } from "../../x509/name/canonical.ts";
import type { DistinguishedName } from "../../x509/name/read.ts";

export type Coverage =
  /** The reasons of which the list tells, a bit for each; `allReasons` for a complete one. */
  | { readonly reasons: number }
  /** A clause about the list: `covers only CA certificates`. */
  | { readonly why: string };

/** What a list of the certificate's issuer covers of it. */
export function coverageOf(certificate: Certificate, list: RevocationList): Coverage {
  const scope = list.issuingDistributionPoint;
  const problem = scope && kindProblem(scope, certificate);
  if (problem !== undefined) return { why: problem };
  const reasons = scope?.onlySomeReasons ?? allReasons;
  const points = pointsOf(certificate);
  for (const point of points) {
    if (!isIssuedFor(point, list.issuer)) continue;
    const named = scope?.point;
    if (named !== undefined && !isSamePoint(named, list.issuer, point)) continue;
    return { reasons: reasons & (point.reasons ?? allReasons) };
  }
  if (scope?.point === undefined) return { reasons };
  return { why: "is that of another distribution point" };
}

function kindProblem(scope: CrlScope, certificate: Certificate): string | undefined {
  const isCa = certificate.basicConstraints?.ca === true;
  const kinds = [
    scope.onlyContainsUserCerts,
    scope.onlyContainsCaCerts,
    scope.onlyContainsAttributeCerts,
  ].filter((one) => one === true);
  if (kinds.length > 1) return "contradicts itself about the kinds that it covers";
  if (scope.onlyContainsAttributeCerts) return "covers only attribute certificates";
  if (scope.onlyContainsCaCerts && !isCa) return "covers only CA certificates";
  if (scope.onlyContainsUserCerts && isCa) return "covers only end entities";
  if (scope.indirectCrl) return "is an indirect one, which is not judged";
  return undefined;
}

function pointsOf({ extensions }: Certificate): readonly DistributionPoint[] {
  const extension = extensions.get(extensionOids.crlDistributionPoints);
  return extension === undefined ? [] : readDistributionPointList(extension.value);
}

/** Whether lists of this point are issued under this name. */
function isIssuedFor({ crlIssuer }: DistributionPoint, issuer: DistinguishedName): boolean {
  return (
    crlIssuer === undefined ||
    crlIssuer.includes(directoryPointName(canonicalRdns(issuer).join("\n")))
  );
}

/** Whether a list's distribution point is one of a certificate's: they share a name. */
function isSamePoint(
  named: PointName,
  issuer: DistinguishedName,
  { point, crlIssuer }: DistributionPoint,
): boolean {
  const ofList = fullNames(named, issuer);
  // RFC 5280 6.3.3 (b)(2)(i): where a point has no name, that of its issuer stands for it.
  const ofCertificate = point === undefined ? (crlIssuer ?? []) : fullNames(point, issuer);
  return ofList.some((name) => ofCertificate.includes(name));
}

function fullNames(point: PointName, issuer: DistinguishedName): readonly string[] {
  if ("names" in point) return point.names;
  return [directoryPointName([...canonicalRdns(issuer), point.relative].join("\n"))];
}
