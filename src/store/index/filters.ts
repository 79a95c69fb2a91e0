/**
 * What the index is searched by, one entry a filter. The REST parameters, the flags of the command
 * line and the store's query all come from here. This file is data only and loads nothing.
 */

export const certificateStatuses = ["valid", "expired", "revoked", "hold"] as const;

interface IndexFilter {
  /** What a person writes in its place, for the help of the command line. */
  readonly placeholder: string;
  /** How its text is read; `choice` takes one of `choices`. */
  readonly reads: "text" | "serial" | "instant" | "choice";
  readonly choices?: readonly string[];
  /** The least number of characters. */
  readonly minLength?: number;
  /** What it finds, as part of a sentence. */
  readonly finds: string;
}

const when = "RFC 3339, or relative to now such as `+7d` or `-12h`";

/** All given filters must hold. `order` finds nothing by itself; it says what comes first. */
export const indexFilters = {
  status: {
    placeholder: "status",
    reads: "choice",
    choices: certificateStatuses,
    finds: "standing now: valid, expired, revoked or hold",
  },
  profile: { placeholder: "name", reads: "text", finds: "profile, exactly" },
  subject: {
    placeholder: "text",
    reads: "text",
    minLength: 3,
    finds: "part of the subject, in any case, at least three characters",
  },
  san: {
    placeholder: "name",
    reads: "text",
    finds:
      "a name exactly, with or without its kind, or a suffix when it starts with a dot, such as `.example.test`",
  },
  serial: { placeholder: "hex", reads: "serial", finds: "first digits of the serial" },
  lineage: {
    placeholder: "serial",
    reads: "serial",
    finds: "the first certificate with this serial, whole, and every renewal of it",
  },
  spki: { placeholder: "sha256", reads: "text", finds: "hex SHA-256 of the public key" },
  requestedBy: {
    placeholder: "identity",
    reads: "text",
    finds: "who asked for it, exactly, such as `internal:first start`",
  },
  issuedAfter: { placeholder: "when", reads: "instant", finds: `issued at or after: ${when}` },
  issuedBefore: { placeholder: "when", reads: "instant", finds: `issued before: ${when}` },
  expiresAfter: { placeholder: "when", reads: "instant", finds: `expires at or after: ${when}` },
  expiresBefore: { placeholder: "when", reads: "instant", finds: `expires before: ${when}` },
  order: {
    placeholder: "order",
    reads: "choice",
    choices: ["issued", "expires"],
    finds:
      "issued (newest first) or expires (next to expire first); by default what the filters ask about",
  },
} as const satisfies Readonly<Record<string, IndexFilter>>;

type Table = typeof indexFilters;
export type FilterName = keyof Table;
/** The name and what stands for it, without the literal types of each entry. */
export const filterEntries = Object.entries(indexFilters) as [FilterName, IndexFilter][];

/** The filters as they are given: text, not yet read. */
export type FilterTexts = {
  readonly [K in FilterName]?: Table[K] extends { choices: readonly (infer C)[] } ? C : string;
};

/** The filters as they were read. */
export type CertificateFilters = {
  readonly [K in FilterName]?: Table[K] extends { reads: "instant" } ? Date : FilterTexts[K];
};
