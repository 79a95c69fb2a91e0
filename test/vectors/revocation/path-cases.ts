/** Rules of whole paths that OpenSSL enforces (RFC 5280 6.1), own vectors; nobody asks for lists. */

import type { Base, Case, Given } from "./case.ts";
import type { CertificateTerms, Maker } from "./make.ts";

/** A leaf below a CA below the root, each with more extensions. */
function path(
  issuing: CertificateTerms,
  leaf: CertificateTerms = {},
  rootTerms?: CertificateTerms,
): (maker: Maker, base: Base) => Given {
  return (maker, base) => {
    const root = rootTerms === undefined ? base.root : maker.authority(rootTerms);
    const ca = maker.authority({ by: root, ...issuing });
    return { leaf: maker.leaf(ca, leaf), issuers: [ca], roots: [root] };
  };
}

const constrained = (value: string, sections = "") => ({
  extensions: [`nameConstraints = ${value}`],
  sections,
});
const named = (names: string, subject = "/C=IN/O=Example/CN=peer", sections = "") => ({
  subject,
  extensions: [`subjectAltName = ${names}`],
  sections,
});
const dns = "critical,permitted;DNS:example.test";
const organisation = "[below]\nC = IN\nO = Example\n";
const extended = (value: string) => ({ extensions: [`extendedKeyUsage = ${value}`] });
const critical = { extensions: ["1.2.3.4 = critical,DER:0500"] };

type Row = readonly [
  id: string,
  title: string,
  expected: Case["expected"],
  make: Case["make"],
  purpose?: Case["purpose"],
];

const nameRows: readonly Row[] = [
  ["nc-dns", "a permitted DNS name", "accepted", path(constrained(dns), named("DNS:a.example.test"))],
  ["nc-dns-case", "a permitted DNS name in capitals", "accepted", path(constrained(dns), named("DNS:A.EXAMPLE.TEST"))],
  ["nc-dns-out", "a DNS name outside", "refused", path(constrained(dns), named("DNS:evil.test"))],
  ["nc-dns-tail", "a DNS name that only ends alike", "refused", path(constrained(dns), named("DNS:notexample.test"))],
  ["nc-dns-two", "one of two DNS names outside", "refused", path(constrained(dns), named("DNS:a.example.test,DNS:evil.test"))],
  ["nc-dns-dot", "the domain itself under a base with a dot", "refused", path(constrained("critical,permitted;DNS:.example.test"), named("DNS:example.test"))],
  ["nc-not-critical", "a DNS name outside, not critical", "refused", path(constrained("permitted;DNS:example.test"), named("DNS:evil.test"))],
  ["nc-excluded", "an excluded DNS name", "refused", path(constrained("critical,excluded;DNS:bad.test"), named("DNS:a.bad.test"))],
  ["nc-not-excluded", "a DNS name that is not excluded", "accepted", path(constrained("critical,excluded;DNS:bad.test"), named("DNS:a.example.test"))],
  ["nc-cn", "a commonName outside, no DNS name", "refused", path(constrained(dns), { subject: "/C=IN/O=Example/CN=evil.test" })],
  ["nc-cn-words", "a commonName that is no host", "accepted", path(constrained(dns), { subject: "/C=IN/O=Example/CN=some peer" })],
  ["nc-cn-beside", "a commonName outside beside a permitted DNS name", "accepted", path(constrained(dns), named("DNS:a.example.test", "/C=IN/O=Example/CN=evil.test"))],
  ["nc-root", "outside of the root's own constraints", "refused", path({}, named("DNS:evil.test"), { subject: "/CN=Narrow", ...constrained(dns) })],
  ["nc-dir", "a subject below a permitted one", "accepted", path(constrained("critical,permitted;dirName:below", organisation))],
  ["nc-dir-case", "a subject below a permitted one in capitals", "accepted", path(constrained("critical,permitted;dirName:below", organisation), { subject: "/C=IN/O=EXAMPLE/CN=peer" })],
  ["nc-dir-out", "a subject elsewhere", "refused", path(constrained("critical,permitted;dirName:below", organisation), { subject: "/C=IN/O=Elsewhere/CN=peer" })],
  ["nc-dir-excluded", "a subject below an excluded one", "refused", path(constrained("critical,excluded;dirName:below", organisation))],
  ["nc-dir-san", "a directoryName elsewhere among the names", "refused", path(constrained("critical,permitted;dirName:below", organisation), named("dirName:elsewhere", "/C=IN/O=Example/CN=peer", "[elsewhere]\nC = IN\nO = Elsewhere\n"))],
  ["nc-dir-fold", "a subject that differs in a letter outside of ASCII", "refused", path(constrained("critical,permitted;dirName:below", "[below]\nC = IN\nO = K\n"), { subject: "/C=IN/O=\u212a/CN=peer" })],
  ["nc-ip", "an address in the permitted range", "accepted", path(constrained("critical,permitted;IP:10.0.0.0/255.0.0.0"), named("IP:10.1.2.3"))],
  ["nc-ip-out", "an address outside", "refused", path(constrained("critical,permitted;IP:10.0.0.0/255.0.0.0"), named("IP:11.1.2.3"))],
  ["nc-ip6-out", "an IPv6 address where only IPv4 ones are permitted", "refused", path(constrained("critical,permitted;IP:10.0.0.0/255.0.0.0"), named("IP:fd00::1"))],
  ["nc-ip-excluded", "an address in the excluded range", "refused", path(constrained("critical,excluded;IP:10.0.0.0/255.0.0.0"), named("IP:10.1.2.3"))],
  ["nc-email", "a mailbox of a permitted host", "accepted", path(constrained("critical,permitted;email:example.test"), named("email:a@example.test"))],
  ["nc-email-out", "a mailbox of another host", "refused", path(constrained("critical,permitted;email:example.test"), named("email:a@sub.example.test"))],
  ["nc-email-dot", "a mailbox of a host in a permitted domain", "accepted", path(constrained("critical,permitted;email:.example.test"), named("email:a@sub.example.test"))],
  ["nc-email-dn", "an emailAddress outside in the subject", "refused", path(constrained("critical,permitted;email:example.test"), { subject: "/C=IN/CN=peer/emailAddress=a@evil.test" })],
  ["nc-uri", "a URI of a permitted host", "accepted", path(constrained("critical,permitted;URI:example.test"), named("URI:spiffe://example.test/a"))],
  ["nc-uri-out", "a URI of another host", "refused", path(constrained("critical,permitted;URI:example.test"), named("URI:spiffe://evil.test/a"))],
  ["nc-uri-dot", "a URI of a host in a permitted domain", "accepted", path(constrained("critical,permitted;URI:.example.test"), named("URI:https://a.example.test:8443/a"))],
  ["nc-uri-none", "a URI without a host", "refused", path(constrained("critical,permitted;URI:example.test"), named("URI:urn:uuid:1"))],
  ["nc-other", "an otherName under a constraint of its kind", "refused", path(constrained("critical,permitted;otherName:1.3.6.1.4.1.311.20.2.3;UTF8:example"), named("otherName:1.3.6.1.4.1.311.20.2.3;UTF8:example"))],
  ["nc-foreign", "a DNS name under constraints of another kind", "accepted", path(constrained("critical,permitted;email:example.test"), named("DNS:any.test"))],
];

const useRows: readonly Row[] = [
  ["plain", "nothing special", "accepted", path({})],
  ["plain-server", "nothing special, as a server", "accepted", path({}), "sslserver"],
  ["eku-none", "a leaf without extendedKeyUsage", "accepted", path({}, extended(""))],
  ["eku-other", "a leaf for servers only", "refused", path({}, extended("serverAuth"))],
  ["eku-other-server", "a leaf for clients only, as a server", "refused", path({}, extended("clientAuth")), "sslserver"],
  ["eku-any", "a leaf for any purpose by name", "refused", path({}, extended("anyExtendedKeyUsage"))],
  ["eku-ca", "a CA for servers only", "refused", path(extended("serverAuth"))],
  ["eku-ca-server", "a CA for servers only, as a server", "accepted", path(extended("serverAuth")), "sslserver"],
  ["eku-ca-both", "a CA for both", "accepted", path(extended("serverAuth,clientAuth"))],
  ["eku-ca-any", "a CA for any purpose by name", "refused", path(extended("anyExtendedKeyUsage"))],
  ["eku-root", "a root for servers only", "refused", path({}, {}, { subject: "/CN=Server Root", ...extended("serverAuth") })],
  ["ku-leaf", "a leaf that may only encipher keys", "refused", path({}, { extensions: ["keyUsage = critical,keyEncipherment"] })],
  ["ku-leaf-server", "a leaf that may only encipher keys, as a server", "accepted", path({}, { extensions: ["keyUsage = critical,keyEncipherment"] }), "sslserver"],
  ["ku-leaf-none", "a leaf without keyUsage", "accepted", path({}, { extensions: ["keyUsage ="] })],
  ["ku-leaf-crl", "a leaf that may only sign lists", "refused", path({}, { extensions: ["keyUsage = critical,cRLSign"] }), "sslserver"],
  ["ku-padded", "a keyUsage with trailing zero bits", "accepted", path({}, { extensions: ["keyUsage = critical,DER:03020080"] })],
  ["ku-ca", "a CA that may not sign certificates", "refused", path({ extensions: ["keyUsage = critical,cRLSign"] })],
  ["bc-ca", "an issuer that is no CA", "refused", path({ extensions: ["basicConstraints = critical,CA:FALSE"] })],
  ["ns-leaf", "an nsCertType for servers only", "refused", path({}, { extensions: ["nsCertType = server"] })],
  ["ns-leaf-client", "an nsCertType for clients", "accepted", path({}, { extensions: ["nsCertType = client"] })],
  ["critical-leaf", "an unknown critical extension in the leaf", "refused", path({}, critical)],
  ["critical-ca", "an unknown critical extension in the CA", "refused", path(critical)],
  ["critical-root", "an unknown critical extension in the root", "refused", path({}, {}, { subject: "/CN=Odd Root", ...critical })],
  ["unknown", "an unknown extension that is not critical", "accepted", path({}, { extensions: ["1.2.3.4 = DER:0500"] })],
  ["critical-policy", "critical policies, constraints and mappings", "accepted", path({ extensions: ["certificatePolicies = critical,1.2.3.4.5", "policyConstraints = critical,requireExplicitPolicy:3", "inhibitAnyPolicy = critical,2"] }, { extensions: ["certificatePolicies = critical,1.2.3.4.5"] })],
  ["critical-cdp", "a critical distribution point", "accepted", path({}, { extensions: ["crlDistributionPoints = critical,URI:http://example.test/a.crl"] })],
  ["proxy", "a proxy certificate", "refused", path({}, { extensions: ["proxyCertInfo = critical,language:id-ppl-anyLanguage,pathlen:1"] })],
];

/** Chains of several CAs; what stands first is issued by the root. */
function chain(
  all: readonly CertificateTerms[],
  rootTerms?: CertificateTerms,
): (maker: Maker, base: Base) => Given {
  return (maker, base) => {
    const root = rootTerms === undefined ? base.root : maker.authority(rootTerms);
    const issuers = [];
    let by = root;
    for (const terms of all) {
      by = maker.authority({ by, ...terms });
      issuers.push(by);
    }
    return { leaf: maker.leaf(by), issuers, roots: [root] };
  };
}

const limit = (most: number) => ({ extensions: [`basicConstraints = critical,CA:TRUE,pathlen:${most}`] });
const self = { subject: "/C=IN/O=Example/CN=Rolling" };

const chainRows: readonly Row[] = [
  ["len-0", "pathlen:0 and no CA below", "accepted", chain([limit(0)])],
  ["len-0-over", "pathlen:0 and a CA below", "refused", chain([limit(0), {}])],
  ["len-1", "pathlen:1 and a CA below", "accepted", chain([limit(1), {}])],
  ["len-root", "pathlen:0 in the root and a CA below", "refused", chain([{}, {}], { subject: "/CN=Short Root", ...limit(1) , extensions: ["basicConstraints = critical,CA:TRUE,pathlen:0"] })],
  ["len-self", "pathlen:0 and a CA that issued to itself", "accepted", chain([{ ...self, ...limit(0) }, { ...self, ...limit(0) }])],
  ["len-self-over", "pathlen:0, a CA that issued to itself and one more", "refused", chain([{ ...self, ...limit(0) }, { ...self, ...limit(0) }, {}])],
  ["deep", "eight CAs", "accepted", chain(Array.from({ length: 8 }, () => ({})))],
  ["self-issued-root", "a CA that issued to itself is no root", "refused", (maker, { root }) => {
    const above = maker.authority({ subject: "/CN=Unknown" });
    const first = maker.authority({ by: above, ...self });
    const second = maker.authority({ by: first, ...self });
    return { leaf: maker.leaf(second), issuers: [], roots: [root, second] };
  }],
  ["trusted-itself", "a self-signed certificate that is trusted itself", "accepted", (maker) => {
    const own = maker.authority({ subject: "/CN=Pinned", extensions: ["keyUsage = critical,digitalSignature,keyCertSign,cRLSign"] });
    return { leaf: own, issuers: [], roots: [own] };
  }],
  ["stranger", "a CA in the right name with another key", "refused", (maker, { root, issuing }) => {
    const forged = maker.authority({ by: maker.authority({ subject: "/C=IN/O=Example/CN=Root" }), subject: "/C=IN/O=Example/CN=Issuing" });
    return { leaf: maker.leaf(forged), issuers: [issuing, forged], roots: [root] };
  }],
];

/** Certificates of other times and programs, in the place of the root or below it. */
const oldRows: readonly Row[] = [
  ["root-sha1", "a root that signed itself with SHA-1", "accepted", (maker) => {
    const root = maker.authority({ subject: "/CN=SHA-1 Root", args: ["-sha1"] });
    const ca = maker.authority({ by: root });
    return { leaf: maker.leaf(ca), issuers: [ca], roots: [root] };
  }],
  ["root-v1", "a root of version 1", "accepted", (maker) => {
    const root = maker.version1("/CN=Version 1 Root");
    const ca = maker.authority({ by: root, extensions: ["authorityKeyIdentifier = none"] });
    const lists = [maker.list(root, { extensions: [] }), maker.list(ca)];
    return { leaf: maker.leaf(ca), issuers: [ca], roots: [root], lists };
  }],
  ["root-bare", "a root of version 3 without basicConstraints", "refused", (maker) => {
    const root = maker.authority({ subject: "/CN=Bare Root", extensions: ["basicConstraints =", "keyUsage ="] });
    return { leaf: maker.leaf(root), issuers: [], roots: [root] };
  }],
  ["key-pss", "a CA with a key for RSASSA-PSS only", "accepted", (maker, { root }) => {
    const ca = maker.authority({ by: root, key: maker.newKey("rsa-pss") });
    return { leaf: maker.leaf(ca), issuers: [ca], roots: [root] };
  }],
  ["aki", "a key identifier that is not the CA's", "refused", path({}, { extensions: ["authorityKeyIdentifier = DER:300480020102"] })],
  ["aki-serial", "an identifier of the CA's certificate, by issuer and serial", "accepted", path({}, { extensions: ["authorityKeyIdentifier = keyid,issuer:always"] })],
  ["aki-serial-other", "an identifier of another certificate of that CA", "refused", (maker, { root }) => {
    const first = maker.authority({ by: root, subject: "/CN=Renewed CA" });
    const second = maker.authority({ by: root, subject: "/CN=Renewed CA", key: first.key });
    const leaf = maker.leaf(first, { extensions: ["authorityKeyIdentifier = keyid,issuer:always"] });
    return { leaf, issuers: [second], roots: [root] };
  }],
  ["leaf-ca", "a CA as the peer", "accepted", path({}, { extensions: ["basicConstraints = critical,CA:TRUE"] })],
  ["renewed-ca", "two certificates of one CA key", "accepted", (maker, { root }) => {
    const first = maker.authority({ by: root, subject: "/CN=Renewed" });
    const second = maker.authority({ by: root, subject: "/CN=Renewed", key: first.key });
    return { leaf: maker.leaf(first), issuers: [first, second], roots: [root] };
  }],
];

const pss = (salt: string) => [
  ...["-sigopt", "rsa_padding_mode:pss", "-sigopt", `rsa_pss_saltlen:${salt}`, "-sha256"],
];
const signatureRows: readonly Row[] = ["max", "digest", "0", "20"].map((salt) => [
  `pss-${salt}`,
  `RSASSA-PSS with a salt of ${salt}, lists too`,
  "accepted",
  (maker) => {
    const args = pss(salt);
    const key = maker.newKey("rsa");
    const root = maker.authority({ subject: `/CN=PSS ${salt}`, key, args });
    const ca = maker.authority({ by: root, key: maker.newKey("rsa"), args });
    const sigopt = args.slice(0, 4);
    return {
      leaf: maker.leaf(ca, { args }),
      issuers: [ca],
      roots: [root],
      lists: [maker.list(root, { args: sigopt }), maker.list(ca, { args: sigopt })],
    };
  },
]);

export const pathCases: readonly Case[] = [
  ...nameRows,
  ...useRows,
  ...chainRows,
  ...oldRows,
  ...signatureRows,
].map(([id, title, expected, make, purpose]) => ({
  id,
  title,
  expected,
  make,
  ...(purpose && { purpose }),
}));
