import type { Notice } from "../policy/notice.ts";
import type { Violation } from "../refusal.ts";
import { parseCertificate } from "../x509/certificate/read.ts";
import { assembleCertificate } from "../x509/certificate/template.ts";
import { extensionName } from "../x509/extensions/encode.ts";
import { formatGeneralName } from "../x509/name/general-name.ts";
import { formatName } from "../x509/name/read.ts";
import { type IssueInput, type Issuing, judge } from "./issue.ts";

/** The certificate as it would be issued, except for the serial, which is drawn when signing. */
export interface CertificatePreview {
  readonly profile: string;
  readonly subject: string;
  readonly subjectAltNames: readonly string[];
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly renewAfter: Date;
  readonly keyType: string;
  readonly spkiSha256: string;
  readonly extensions: readonly {
    readonly oid: string;
    readonly name: string;
    readonly critical: boolean;
    /** Hex of the DER value. */
    readonly value: string;
  }[];
}

export interface CheckResult {
  readonly verdict: "accepted" | "refused";
  readonly violations: readonly Violation[];
  readonly notices: readonly Notice[];
  readonly preview: CertificatePreview | undefined;
}

/** Any serial will do for a preview; this one says so. */
const PREVIEW_SERIAL = "01";

/** The verdict of a request and, when accepted, the exact certificate that would be made. */
export async function checkRequest(
  parts: Issuing,
  input: Pick<IssueInput, "issuer" | "request" | "grant" | "profile" | "validity" | "now">,
): Promise<CheckResult> {
  const verdict = await judge(parts, input);
  if (!verdict.ok) {
    return {
      verdict: "refused",
      violations: verdict.refusal.violations ?? [],
      notices: [],
      preview: undefined,
    };
  }
  const { plan } = verdict.value;
  const seconds = (plan.notAfter.getTime() - plan.notBefore.getTime()) / 1000;
  const template = parts.templates.for(input.issuer, plan.profile, seconds);
  const tbs = template.encode({ ...plan, serial: PREVIEW_SERIAL });
  // One zero octet makes the structure readable and can never verify as a signature.
  const der = assembleCertificate(tbs, input.issuer.signatureAlgorithm, Uint8Array.of(0));
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new Error(`the preview does not parse: ${parsed.refusal.detail}`);
  return {
    verdict: "accepted",
    violations: [],
    notices: plan.notices,
    preview: {
      profile: plan.profile.name,
      subject: formatName(plan.subject),
      subjectAltNames: plan.subjectAltNames.map(formatGeneralName),
      issuer: formatName(input.issuer.certificate.subject),
      notBefore: plan.notBefore,
      notAfter: plan.notAfter,
      renewAfter: plan.renewAfter,
      keyType: plan.publicKey.keyType,
      spkiSha256: plan.publicKey.spkiSha256,
      extensions: [...parsed.value.extensions].map(([oid, { critical, value }]) => ({
        oid,
        name: extensionName(oid),
        critical,
        value: Buffer.from(value).toString("hex"),
      })),
    },
  };
}
