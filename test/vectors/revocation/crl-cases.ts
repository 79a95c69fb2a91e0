/** Basic revocation (PKITS 4.4), own vectors. */

import * as der from "../../../src/der/writer.ts";
import type { Base, Case, Given } from "./case.ts";
import type { ListTerms, Made, Maker } from "./make.ts";
import { rewrite } from "./rewrite.ts";

/** A leaf of the issuing CA and one list of that CA. */
function ordinary(
  maker: Maker,
  { root, issuing, rootList }: Base,
  list: (leaf: Made) => ListTerms,
  leaf = maker.leaf(issuing),
): Given {
  const lists = [rootList, maker.list(issuing, list(leaf))];
  return { leaf, issuers: [issuing], roots: [root], lists };
}

const aki = "authorityKeyIdentifier = keyid";
const unknownCritical = "1.2.3.4 = critical,DER:0500";
const longSerial = "7F0102030405060708090A0B0C0D0E0F10111213";

export const crlCases: readonly Case[] = [
  {
    id: "4.4.1",
    title: "the issuing CA has no list",
    expected: "refused",
    make: (maker, { root, issuing, rootList }) => ({
      leaf: maker.leaf(issuing),
      issuers: [issuing],
      roots: [root],
      lists: [rootList],
    }),
  },
  {
    id: "4.4.1b",
    title: "the root has no list",
    expected: "refused",
    make: (maker, { root, issuing }) => ({
      leaf: maker.leaf(issuing),
      issuers: [issuing],
      roots: [root],
      lists: [maker.list(issuing)],
    }),
  },
  {
    id: "4.4",
    title: "nothing is revoked",
    expected: "accepted",
    make: (maker, base) => ordinary(maker, base, () => ({})),
  },
  {
    id: "4.4.2",
    title: "the issuing CA is revoked",
    expected: "refused",
    make: (maker, { root, issuing }) => ({
      leaf: maker.leaf(issuing),
      issuers: [issuing],
      roots: [root],
      lists: [maker.list(root, { revoked: [`${issuing.serial},CACompromise`] }), maker.list(issuing)],
    }),
  },
  {
    id: "4.4.2b",
    title: "the second of three CAs is revoked",
    expected: "refused",
    make: (maker, { root, rootList }) => {
      const upper = maker.authority({ by: root });
      const lower = maker.authority({ by: upper });
      const lists = [rootList, maker.list(upper, { revoked: [lower.serial] }), maker.list(lower)];
      return { leaf: maker.leaf(lower), issuers: [lower, upper], roots: [root], lists };
    },
  },
  {
    id: "4.4.3",
    title: "the end entity is revoked",
    expected: "refused",
    make: (maker, base) => ordinary(maker, base, ({ serial }) => ({ revoked: [serial] })),
  },
  {
    id: "4.4.4",
    title: "the list is signed with another key",
    expected: "refused",
    make: (maker, { root, issuing, rootList }) => {
      const forged = maker.authority({ by: root, subject: "/C=IN/O=Example/CN=Issuing" });
      const lists = [rootList, maker.list(forged, { extensions: ["1.2.3.4 = DER:0500"] })];
      return { leaf: maker.leaf(issuing), issuers: [issuing], roots: [root], lists };
    },
  },
  {
    id: "4.4.5",
    title: "the list is in another name, signed with the right key",
    expected: "refused",
    make: (maker, { root, issuing, rootList }) => {
      const other = maker.authority({ by: root, key: issuing.key, subject: "/CN=Other" });
      const lists = [rootList, maker.list(other)];
      return { leaf: maker.leaf(issuing), issuers: [issuing], roots: [root], lists };
    },
  },
  {
    id: "4.4.6",
    title: "there are lists of other CAs only",
    expected: "refused",
    make: (maker, { root, issuing, rootList }) => {
      const lists = [rootList, maker.list(maker.authority({ by: root }))];
      return { leaf: maker.leaf(issuing), issuers: [issuing], roots: [root], lists };
    },
  },
  {
    id: "4.4.7",
    title: "two lists, one of another CA",
    expected: "accepted",
    make: (maker, base) => {
      const given = ordinary(maker, base, () => ({}));
      const other = maker.list(maker.authority({ by: base.root }));
      return { ...given, lists: [other, ...(given.lists ?? [])] };
    },
  },
  {
    id: "4.4.8",
    title: "an entry has an unknown critical extension",
    expected: "refused",
    make: (maker, { root, issuing, rootList }) => {
      const extension = der.sequence(
        der.oid("1.2.3.4"),
        der.boolean(true),
        der.octetString(der.nullValue()),
      );
      const entry = der.sequence(
        der.integer(99),
        der.time(new Date("2025-01-01T00:00:00Z")),
        der.sequence(extension),
      );
      const lists = [rootList, rewrite(maker, issuing, { entries: [entry] })];
      return { leaf: maker.leaf(issuing), issuers: [issuing], roots: [root], lists };
    },
  },
  {
    id: "4.4.9",
    title: "a list with an unknown critical extension, revoked in it",
    expected: "refused",
    make: (maker, base) =>
      ordinary(maker, base, ({ serial }) => ({
        revoked: [serial],
        extensions: [aki, unknownCritical],
      })),
  },
  {
    id: "4.4.10",
    title: "a list with an unknown critical extension",
    expected: "refused",
    make: (maker, base) => ordinary(maker, base, () => ({ extensions: [aki, unknownCritical] })),
  },
  {
    id: "4.4.10b",
    title: "a list with an unknown extension that is not critical",
    expected: "accepted",
    make: (maker, base) =>
      ordinary(maker, base, () => ({ extensions: [aki, "1.2.3.4 = DER:0500"] })),
  },
  {
    id: "4.4.11",
    title: "nextUpdate is over",
    expected: "refused",
    make: (maker, base) =>
      ordinary(maker, base, () => ({
        args: ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20210101000000Z"],
      })),
  },
  {
    id: "4.4.12",
    title: "nextUpdate is before 2000",
    expected: "refused",
    make: (maker, base) =>
      ordinary(maker, base, () => ({
        args: ["-crl_lastupdate", "980101000000Z", "-crl_nextupdate", "990101000000Z"],
      })),
  },
  {
    id: "4.4.13",
    title: "nextUpdate is a GeneralizedTime after 2049",
    expected: "accepted",
    make: (maker, base) =>
      ordinary(maker, base, () => ({ args: ["-crl_nextupdate", "20610101000000Z"] })),
  },
  {
    id: "4.4.14",
    title: "a negative serial, another one revoked",
    expected: "accepted",
    make: (maker, base) =>
      ordinary(
        maker,
        base,
        () => ({ revoked: ["05"] }),
        maker.leaf(base.issuing, { serial: "-05" }),
      ),
  },
  {
    id: "4.4.15",
    title: "a negative serial, revoked",
    expected: "refused",
    make: (maker, base) =>
      ordinary(
        maker,
        base,
        () => ({ revoked: ["-05"] }),
        maker.leaf(base.issuing, { serial: "-05" }),
      ),
  },
  {
    id: "4.4.16",
    title: "a serial of 20 octets, another one revoked",
    expected: "accepted",
    make: (maker, base) =>
      ordinary(
        maker,
        base,
        () => ({ revoked: [`${longSerial.slice(0, -2)}14`] }),
        maker.leaf(base.issuing, { serial: longSerial }),
      ),
  },
  {
    id: "4.4.18",
    title: "a serial of 20 octets, revoked",
    expected: "refused",
    make: (maker, base) =>
      ordinary(
        maker,
        base,
        () => ({ revoked: [longSerial] }),
        maker.leaf(base.issuing, { serial: longSerial }),
      ),
  },
  {
    id: "4.4.19",
    title: "the list is signed with a key of its own, certified for lists",
    expected: "refused",
    make: (maker, { root, rootList }) => {
      const subject = "/C=IN/O=Example/CN=Two Keys";
      const signing = maker.authority({
        by: root,
        subject,
        extensions: ["keyUsage = critical,keyCertSign"],
      });
      const listing = maker.authority({
        by: root,
        subject,
        extensions: ["keyUsage = critical,cRLSign"],
      });
      return {
        leaf: maker.leaf(signing),
        issuers: [signing, listing],
        roots: [root],
        lists: [rootList, maker.list(listing)],
      };
    },
  },
  {
    id: "crl-sign",
    title: "the issuing CA may not sign lists",
    expected: "refused",
    make: (maker, { root, rootList }) => {
      const ca = maker.authority({ by: root, extensions: ["keyUsage = critical,keyCertSign"] });
      const lists = [rootList, maker.list(ca)];
      return { leaf: maker.leaf(ca), issuers: [ca], roots: [root], lists };
    },
  },
  {
    id: "v1",
    title: "a complete list of version 1",
    expected: "accepted",
    make: (maker, base) => ordinary(maker, base, () => ({ extensions: [], revoked: ["99"] })),
  },
  {
    id: "v1-revoked",
    title: "a complete list of version 1, revoked in it",
    expected: "refused",
    make: (maker, base) =>
      ordinary(maker, base, ({ serial }) => ({ extensions: [], revoked: [serial] })),
  },
  {
    id: "empty",
    title: "an empty revokedCertificates",
    expected: "accepted",
    make: (maker, { root, issuing, rootList }) => ({
      leaf: maker.leaf(issuing),
      issuers: [issuing],
      roots: [root],
      lists: [rootList, rewrite(maker, issuing, { entries: [] })],
    }),
  },
];
