/** Distribution points and scopes of lists (PKITS 4.14), deltas beside them (4.15), own vectors. */

import type { Base, Case, Given } from "./case.ts";
import type { ListTerms, Made, Maker } from "./make.ts";

const aki = "authorityKeyIdentifier = keyid";

/** Where the certificate says that its list is, and what the list says of itself. */
function pointed(
  cdp: string | undefined,
  idp: string | undefined,
  options: { sections?: string; revoked?: boolean; more?: readonly string[] } = {},
) {
  return (maker: Maker, base: Base): Given => {
    const sections = `[part]\nC = IN\nO = Example\nOU = Part\n[other]\nC = IN\nO = Example\nOU = Other\n[issuing]\nC = IN\nO = Example\nCN = Issuing\n[relative]\nOU = Part\n[relother]\nOU = Other\n[below]\nC = IN\nO = Example\nCN = Issuing\nOU = Part\n${options.sections ?? ""}`;
    const leaf = maker.leaf(base.issuing, {
      extensions: cdp === undefined ? [] : ["crlDistributionPoints = point"],
      sections: `${sections}\n[point]\n${cdp ?? ""}\n`,
    });
    const extensions = idp === undefined ? [aki] : [aki, "issuingDistributionPoint = critical,@idp"];
    const terms = (scope: string | undefined) => ({
      extensions,
      sections: `${sections}\n[idp]\n${scope ?? ""}\n`,
      ...(options.revoked && { revoked: [`${leaf.serial},keyCompromise`] }),
    });
    const lists = [idp, ...(options.more ?? [])].map((scope) =>
      maker.list(base.issuing, terms(scope)),
    );
    return { leaf, issuers: [base.issuing], roots: [base.root], lists: [base.rootList, ...lists] };
  };
}

const part = "fullname = dirName:part";
const other = "fullname = dirName:other";
const url = "fullname = URI:http://example.test/one.crl";
const otherUrl = "fullname = URI:http://example.test/two.crl";
const some = "onlysomereasons = keyCompromise, CACompromise";
const rest =
  "onlysomereasons = affiliationChanged, superseded, cessationOfOperation, certificateHold, privilegeWithdrawn, AACompromise";
const extended = ["-extended_crl"];

const points: readonly Case[] = [
  ["4.14.1", "a directoryName, the same in both", "accepted", pointed(part, part)],
  ["4.14.2", "a directoryName, revoked", "refused", pointed(part, part, { revoked: true })],
  ["4.14.3", "a directoryName, another in the list", "refused", pointed(part, other)],
  ["4.14.4", "a directoryName beside a URI in the certificate", "accepted", pointed("fullname = URI:http://example.test/a.crl,dirName:part", part)],
  ["4.14.5", "names relative to the issuer in both", "accepted", pointed("relativename = relative", "relativename = relative")],
  ["4.14.6", "names relative to the issuer, revoked", "refused", pointed("relativename = relative", "relativename = relative", { revoked: true })],
  ["4.14.7", "relative in the list, full in the certificate", "accepted", pointed("fullname = dirName:below", "relativename = relative")],
  ["4.14.7b", "full in the list, relative in the certificate", "accepted", pointed("relativename = relative", "fullname = dirName:below")],
  ["4.14.8", "relative in the list, another full one in the certificate", "refused", pointed(other, "relativename = relative")],
  ["4.14.8b", "two different relative names", "refused", pointed("relativename = relother", "relativename = relative")],
  ["4.14.9", "a directoryName in the list, a relative one of another in the certificate", "refused", pointed("relativename = relative", other)],
  ["4.14.10", "the list is of no point", "accepted", pointed(part, undefined)],
  ["4.14.10b", "the certificate is of no point, the list is", "refused", pointed(undefined, part)],
  ["4.14.10c", "the certificate is of no point, the list of a URI", "refused", pointed(undefined, url)],
  ["uri", "a URI, the same in both", "accepted", pointed(url, url)],
  ["uri-other", "a URI, another in the list", "refused", pointed(url, otherUrl)],
  ["uri-case", "a URI in another spelling", "refused", pointed(url, "fullname = URI:http://EXAMPLE.test/one.crl")],
  ["uri-several", "one of several URIs", "accepted", pointed(url, `${otherUrl},URI:http://example.test/one.crl`)],
  ["kind-name", "a URI in the certificate, a directoryName in the list", "refused", pointed(url, part)],
  ["4.14.12", "a list of CA certificates only", "refused", pointed(undefined, "onlyCA = TRUE")],
  ["4.14.13", "a list of end entities only", "accepted", pointed(undefined, "onlyuser = TRUE")],
  ["4.14.14", "a list of attribute certificates only", "refused", pointed(undefined, "onlyAA = TRUE")],
  ["4.14.14b", "a list of end entities and CAs only", "refused", pointed(undefined, "onlyuser = TRUE\nonlyCA = TRUE")],
  ["4.14.15", "a list of some reasons, revoked for one", "refused", pointed(undefined, some, { revoked: true }), extended],
  ["4.14.16", "a list of some reasons", "refused", pointed(undefined, some), extended],
  ["4.14.18", "two lists of reasons that make all", "accepted", pointed(undefined, some, { more: [rest] }), extended],
  ["4.14.19", "two lists of the same reasons", "refused", pointed(undefined, some, { more: [some] }), extended],
  ["4.14.20", "two lists of reasons that make all, revoked", "refused", pointed(undefined, some, { more: [rest], revoked: true }), extended],
  ["reasons", "the point is for some reasons only", "refused", pointed(`${url}\nreasons = keyCompromise, CACompromise`, url)],
  ["4.14.22", "an indirect list", "refused", pointed(undefined, "indirectCRL = TRUE")],
  ["4.14.26", "the certificate's list is another CA's", "refused", pointed("fullname = dirName:part\nCRLissuer = dirName:other", part)],
  ["4.14.26b", "the certificate's list is its issuer's, said so", "accepted", pointed("fullname = dirName:part\nCRLissuer = dirName:issuing", part)],
].map(([id, title, expected, make, flags]) => ({ id, title, expected, make, flags }) as Case);

/** The list that the CA's own certificate is looked up in is only for one kind of certificates. */
function listedOnly(kind: string): Case["make"] {
  return (maker, { root, issuing }) => ({
    leaf: maker.leaf(issuing),
    issuers: [issuing],
    roots: [root],
    lists: [
      maker.list(root, {
        extensions: [aki, "issuingDistributionPoint = critical,@idp"],
        sections: `[idp]\n${kind} = TRUE`,
      }),
      maker.list(issuing),
    ],
  });
}

const kinds: readonly Case[] = [
  {
    id: "4.14.11",
    title: "a list of end entities only, for a CA",
    expected: "refused",
    make: listedOnly("onlyuser"),
  },
  {
    id: "4.14.13b",
    title: "a list of CA certificates only, for a CA",
    expected: "accepted",
    make: listedOnly("onlyCA"),
  },
];

/** Complete lists beside deltas: neither judge uses a delta unless told to (`-use_deltas`). */
function withDelta(list: (leaf: Made) => ListTerms | undefined): Case["make"] {
  return (maker, { root, issuing, rootList }) => {
    const leaf = maker.leaf(issuing);
    const delta = maker.list(issuing, {
      extensions: [aki, "2.5.29.20 = DER:020102", "2.5.29.27 = critical,DER:020101"],
    });
    const terms = list(leaf);
    const numbered = [aki, "2.5.29.20 = DER:020101"];
    const complete = terms && maker.list(issuing, { extensions: numbered, ...terms });
    const lists = [rootList, ...(complete ? [complete] : []), delta];
    return { leaf, issuers: [issuing], roots: [root], lists };
  };
}

const deltas: readonly Case[] = [
  {
    id: "4.15.1",
    title: "a delta without its base",
    expected: "refused",
    flags: extended,
    make: withDelta(() => undefined),
  },
  {
    id: "4.15.2",
    title: "a complete list and a delta",
    expected: "accepted",
    flags: extended,
    make: withDelta(() => ({})),
  },
  {
    id: "4.15.3",
    title: "a complete list and a delta, revoked in the complete one",
    expected: "refused",
    flags: extended,
    make: withDelta(({ serial }) => ({ revoked: [serial] })),
  },
  {
    id: "4.15.8",
    title: "a complete list that is over, and a delta in force",
    expected: "refused",
    flags: extended,
    make: withDelta(() => ({
      args: ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20210101000000Z"],
    })),
  },
];

export const pointCases: readonly Case[] = [...points, ...kinds, ...deltas];
