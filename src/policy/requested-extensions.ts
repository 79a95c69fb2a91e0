/**
 * What a CSR asks for in its extensions. Nothing of it is copied: the profile decides. A request
 * for the powers of a CA is refused. A request for something else gets a notice (S-23).
 */

import { oids } from "../der/oid.ts";
import { DerError } from "../der/reader.ts";
import type { Violation } from "../refusal.ts";
import type { RequestedExtension, VerifiedRequest } from "../x509/csr/read.ts";
import {
  extendedKeyUsageName,
  extendedKeyUsageOids,
  extensionOids,
} from "../x509/extensions/encode.ts";
import {
  readBasicConstraints,
  readCertificatePolicies,
  readExtendedKeyUsage,
  readKeyUsage,
} from "../x509/extensions/read.ts";
import type { Notice } from "./notice.ts";
import type { Profile } from "./profile.ts";

export interface ExtensionVerdict {
  readonly violations: readonly Violation[];
  readonly notices: readonly Notice[];
}

/** Extensions that only a CA's certificate may carry. */
const caOnly: ReadonlySet<string> = new Set([
  extensionOids.nameConstraints,
  "2.5.29.33", // policyMappings
  "2.5.29.36", // policyConstraints
  "2.5.29.54", // inhibitAnyPolicy
]);

/** Extensions that this program knows and the profile decides about. */
const known: ReadonlySet<string> = new Set(Object.values(extensionOids));

/** Usages that reach beyond one service, whatever a profile grants. */
const excessiveUsages: ReadonlySet<string> = new Set([
  oids.operatorRole,
  extendedKeyUsageOids.anyExtendedKeyUsage,
  extendedKeyUsageOids.OCSPSigning,
]);

export function judgeExtensions(request: VerifiedRequest, profile: Profile): ExtensionVerdict {
  const violations: Violation[] = [];
  const notices: Notice[] = [];
  for (const extension of request.extensions) {
    if (extension.oid === extensionOids.subjectAltName) continue;
    const asked = excessOf(extension, profile) ?? roleAsked(extension, profile);
    if (asked !== undefined) violations.push(asked);
    else if (!agrees(extension, profile)) {
      notices.push({
        field: `extensions.${extension.name}`,
        rule: "extensions.profile",
        message: `The request's ${extension.name} was not copied: profile ${profile.name} decides it.`,
      });
    }
  }
  for (const attribute of request.attributes) {
    notices.push({
      field: `attributes.${attribute}`,
      rule: "attributes.unused",
      message: `The request's attribute ${attribute} was not used.`,
    });
  }
  return { violations, notices };
}

function excessOf(extension: RequestedExtension, profile: Profile): Violation | undefined {
  const refuse = (rule: string, got: string, want: string, message: string): Violation => ({
    field: `extensions.${extension.name}`,
    rule,
    got,
    want,
    message,
  });
  const powers = "This authority issues no CA certificates on request; leave it out of the CSR.";
  try {
    switch (extension.oid) {
      case extensionOids.basicConstraints:
        return readBasicConstraints(extension.value).ca
          ? refuse(
              "extensions.ca",
              "CA:TRUE",
              "CA:FALSE",
              `The request asks to become a CA (basicConstraints CA:TRUE). ${powers}`,
            )
          : undefined;
      case extensionOids.keyUsage: {
        const asked = readKeyUsage(extension.value).filter(
          (usage) => usage === "keyCertSign" || usage === "cRLSign",
        );
        return asked.length > 0
          ? refuse(
              "extensions.ca",
              asked.join(", "),
              "no keyCertSign, no cRLSign",
              `The request asks for ${asked.join(" and ")}. ${powers}`,
            )
          : undefined;
      }
      case extensionOids.extendedKeyUsage: {
        const asked = readExtendedKeyUsage(extension.value)
          .filter(
            (usage) => excessiveUsages.has(usage) && !profile.extendedKeyUsage.includes(usage),
          )
          .map(extendedKeyUsageName);
        return asked.length > 0
          ? refuse(
              "extensions.usage",
              asked.join(", "),
              profile.extendedKeyUsage.map(extendedKeyUsageName).join(", "),
              `The request asks for the extended key usage ${asked.join(" and ")}, which profile ${profile.name} does not grant.`,
            )
          : undefined;
      }
      default:
        break;
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return refuse(
      "extensions.malformed",
      "a value that cannot be read",
      "DER as RFC 5280 defines it",
      `The request's ${extension.name} cannot be read: ${error.message}.`,
    );
  }
  if (caOnly.has(extension.oid)) {
    return refuse(
      "extensions.ca",
      extension.name,
      "no extension of CA certificates",
      `The request asks for ${extension.name}. ${powers}`,
    );
  }
  if (extension.critical && !known.has(extension.oid)) {
    return refuse(
      "extensions.critical",
      `critical ${extension.oid}`,
      "no critical extension that is unknown here",
      `The request has a critical extension that this authority does not know (${extension.oid}); it can neither be honoured nor ignored.`,
    );
  }
  return undefined;
}

/** A role is the profile's to give; one that a request asks for is more than a wish. */
function roleAsked(extension: RequestedExtension, profile: Profile): Violation | undefined {
  const { operatorRole } = oids;
  if (extension.oid !== extensionOids.certificatePolicies || profile.role !== undefined) return;
  if (!policiesOf(extension.value).includes(operatorRole)) return;
  return {
    field: `extensions.${extension.name}`,
    rule: "extensions.role",
    got: operatorRole,
    want: "no role",
    message: `The request asks to operate this authority (certificatePolicies ${operatorRole}), which profile ${profile.name} does not grant.`,
  };
}

/** None where they cannot be read: nothing of them is copied anyway. */
function policiesOf(value: Uint8Array): string[] {
  try {
    return readCertificatePolicies(value);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return [];
  }
}

/** Whether the profile gives just what is asked for, so that nothing needs to be said. */
function agrees(extension: RequestedExtension, profile: Profile): boolean {
  if (extension.oid === extensionOids.basicConstraints) return true;
  if (extension.oid !== extensionOids.extendedKeyUsage) return false;
  const asked = readExtendedKeyUsage(extension.value);
  return (
    asked.length === profile.extendedKeyUsage.length &&
    asked.every((usage) => profile.extendedKeyUsage.includes(usage))
  );
}
