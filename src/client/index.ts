/**
 * `countersign/client`: certificates that renew themselves, for Node services.
 *
 * @example
 * import { autoRenew } from "countersign/client";
 * const identity = await autoRenew({ dir: "identity", token: { file: "token.txt" } });
 */

export { type AutoRenewOptions, autoRenew } from "./auto-renew.ts";
export { pemBundle, pkcs12Bundle } from "./bundle.ts";
export { type EnrollOptions, type Enrolment, enroll } from "./enroll.ts";
export {
  type EnrolmentRecord,
  type Identity,
  type IdentityStanding,
  loadIdentity,
  standingOf,
} from "./identity.ts";
export { type KeyType, keyTypes } from "./keys.ts";
export type { LiveIdentity, LiveStatus } from "./live-identity.ts";
export { ClientError, type ClientFailureCode } from "./problem.ts";
export { type Renewal, type RenewOptions, renew } from "./renew.ts";
export {
  type GuardOptions,
  type RevocationGuard,
  revocationGuard,
  type Verdict,
  type VerdictRule,
} from "./revocation-guard.ts";
export type { TlsOptions } from "./tls-material.ts";
export type { TokenSource } from "./token.ts";
