import type { Purpose } from "../../../src/client/revocation/path-rules.ts";
import type { Made, Maker } from "./make.ts";

/** What both judges are given. */
export interface Given {
  readonly leaf: Made;
  /** Between the leaf and the roots, in any order. */
  readonly issuers: readonly Made[];
  readonly roots: readonly Made[];
  /** Revocation lists, DER; where they are not the question, lists that revoke nothing are made. */
  readonly lists?: readonly Uint8Array[];
}

export interface Case {
  /** The section of PKITS that the case is made after, or the rule. */
  readonly id: string;
  readonly title: string;
  readonly expected: "accepted" | "refused";
  readonly purpose?: Purpose;
  /** More flags for `openssl verify`. */
  readonly flags?: readonly string[];
  readonly make: (maker: Maker, base: Base) => Given;
}

/** What most cases share: a root, an issuing CA and the root's list, which revokes nothing. */
export interface Base {
  readonly root: Made;
  readonly issuing: Made;
  readonly rootList: Uint8Array;
}

export function makeBase(maker: Maker): Base {
  const root = maker.authority({ subject: "/C=IN/O=Example/CN=Root" });
  const issuing = maker.authority({ by: root, subject: "/C=IN/O=Example/CN=Issuing" });
  return { root, issuing, rootList: maker.list(root) };
}
