/** Who asks, as the core sees it: a type, no HTTP. */

import type { StoredCertificate } from "../store/store.ts";
import type { EnrolmentToken } from "./token/own.ts";

/** What every caller has in common: where the request came from and how to find it in the log. */
export interface Origin {
  readonly requestId: string;
  /** Network address of the peer, if there is one. */
  readonly address: string | undefined;
}

export type Caller =
  | (Origin & { readonly kind: "anonymous" })
  | (Origin & { readonly kind: "token"; readonly token: EnrolmentToken })
  | (Origin & { readonly kind: "certificate"; readonly certificate: StoredCertificate })
  | (Origin & { readonly kind: "operator"; readonly certificate: StoredCertificate })
  /** The service acting for itself: its own server certificate, the operator of the first start. */
  | (Origin & { readonly kind: "internal"; readonly reason: string });

/** A caller that holds a living certificate of this authority. */
export type CertificateCaller = Extract<Caller, { certificate: StoredCertificate }>;

export type InternalCaller = Extract<Caller, { kind: "internal" }>;

/** The caller's identity as the index (`requestedBy`) and the audit name it. */
export function identityOf(caller: Caller): string {
  switch (caller.kind) {
    case "anonymous":
      return "anonymous";
    case "token":
      return `token:${caller.token.id}`;
    case "certificate":
    case "operator":
      return `${caller.kind}:${caller.certificate.serial} (${caller.certificate.commonName ?? caller.certificate.subject})`;
    case "internal":
      return `internal:${caller.reason}`;
  }
}
