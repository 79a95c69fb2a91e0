/**
 * Checks a certificate against the rules of RFC 5280 and its companions that matter for what this
 * authority issues. Ids are those of zlint where it has the rule, and never change.
 */

import { DerError } from "../../der/reader.ts";
import { readCertificate } from "../certificate/read-fields.ts";
import { extensionRules } from "./extensions.ts";
import { fieldRules } from "./fields.ts";
import { keyRules } from "./keys.ts";
import { nameRules } from "./names.ts";
import { inspect, type LintRule, type LintSeverity } from "./rule.ts";

export type { LintRule, LintSeverity } from "./rule.ts";

export interface LintFinding {
  readonly id: string;
  readonly severity: LintSeverity;
  /** One sentence with the section it comes from. */
  readonly message: string;
}

/** All rules, in the order in which they report. */
export const lintRules: readonly LintRule[] = [
  ...fieldRules,
  ...nameRules,
  ...extensionRules,
  ...keyRules,
];

/** Every rule that a certificate (DER) breaks; bytes that do not parse break just one. */
export function lintCertificate(der: Uint8Array): LintFinding[] {
  try {
    const subject = inspect(readCertificate(der));
    return lintRules
      .filter((rule) => rule.isBroken(subject))
      .map(({ id, severity, want, source }) => ({ id, severity, message: `${want} (${source})` }));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return [
      {
        id: "e_certificate_not_der",
        severity: "error",
        message: `The bytes are not one certificate in DER (X.690): ${error.message}`,
      },
    ];
  }
}
