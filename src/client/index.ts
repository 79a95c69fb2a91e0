/**
 * `countersign/client`: certificates that renew themselves, for Node services.
 *
 * @example
 * import { autoRenew } from "countersign/client";
 * const identity = await autoRenew({ dir: "identity", token: { file: "token.txt" } });
 */

export { type KeyType, keyTypes } from "../x509/key/private-key.ts";
export type { ServerFactory } from "./adapters/fastify.ts";
export type { CertificateProvider } from "./adapters/grpc.ts";
export type { PerCertificate } from "./adapters/per-certificate.ts";
export { type EnrollOptions, type Enrolment, enroll } from "./enroll.ts";
export { pemBundle, pkcs12Bundle } from "./identity/bundle.ts";
export {
  type EnrolmentRecord,
  type Identity,
  type IdentityStanding,
  loadIdentity,
  standingOf,
} from "./identity/identity.ts";
export type { LiveIdentity, LiveStatus } from "./identity/live-identity.ts";
export type { TlsOptions } from "./identity/tls-material.ts";
export { ClientError, type ClientFailureCode } from "./problem.ts";
export { type AutoRenewOptions, autoRenew } from "./renewal/auto-renew.ts";
export { type Renewal, type RenewOptions, renew } from "./renewal/renew.ts";
export {
  type GuardOptions,
  type RevocationGuard,
  revocationGuard,
  type Verdict,
  type VerdictRule,
} from "./revocation/guard.ts";
export type { TokenSource } from "./token.ts";
