import type { GeneralName } from "../x509/name/general-name.ts";
import type { DistinguishedName, NameAttribute } from "../x509/name/read.ts";

/**
 * What a credential entitles to: the ceiling of a request, made where the credential was proven.
 */
export interface Grant {
  readonly via: "token" | "operator" | "renewal" | "internal";
  /** Identity for index and audit: `token:<jti>`, `certificate:<serial> (CN=web)`, … */
  readonly requestedBy: string;
  readonly profile: string;
  /** The CN must be exactly this; undefined: as the policy says. */
  readonly commonName: string | undefined;
  /** Whether `commonName` may be a host that is not among `names`; true when left out. */
  readonly commonNameMayBeHost?: boolean;
  /** The names that may stand in the SAN; undefined: as the policy says. */
  readonly names: readonly GeneralName[] | undefined;
  /** Attributes that the subject must have exactly so; what the request leaves out is filled in. */
  readonly fixedAttributes?: readonly NameAttribute[];
  /** A fixed identity (renewal): the subject of the CSR must be empty or the same. */
  readonly subject?: DistinguishedName;
  /** With a fixed identity the SANs of the CSR must be none or exactly `names`. */
  readonly fixedNames?: boolean;
  /** Good for this one request only: hex SHA-256 of its DER. */
  readonly csrSha256?: string;
  /** The key held now (renewal); another one needs the profile's `renew.allowNewKey`. */
  readonly heldSpkiSha256?: string;
  /** No certificate of this grant outlives this instant. */
  readonly notAfterCap?: Date;
}
