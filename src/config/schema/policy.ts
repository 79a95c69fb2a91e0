import Type from "typebox";
import { count, duration, path, renewBefore, text, word, yesNo } from "./values.ts";

/** The part of the configuration that says what may be signed: policy and profiles. */

const subjectRule = word(["match", "supplied", "optional"], {
  description:
    "match: as in the authority's own certificate; supplied: must be there; optional: may be there.",
  examples: ["match"],
});

const subjectSchema = {
  description:
    "Which attributes a subject may have, in openssl's words. The order here is the order in the certificate; an attribute that is not named is not copied. An emailAddress is a name as well, and must be among `subjectAltName.email`. `anything` is openssl's policy_anything.",
  examples: [{ countryName: "match", commonName: "supplied" }, "anything"] as const,
  expected: "attributes with match, supplied or optional, or the word anything",
};

const subjectRules = Type.Record(Type.String({ pattern: "^[A-Za-z0-9.-]{1,64}$" }), subjectRule, {
  expected: "a name of an attribute, such as countryName",
  minProperties: 1,
});

const patterns = (description: string, example: string) => ({
  description,
  examples: [[example]] as const,
  expected: "a list of patterns",
});

const dnsPatterns = patterns(
  "DNS names that may stand in a certificate: `.example.test` for any name below, or an exact name, or `*` for any.",
  ".example.test",
);
const ipPatterns = patterns(
  "IP addresses or ranges that may stand in a certificate.",
  "10.0.0.0/8",
);
const uriPatterns = patterns(
  "Prefixes of URIs that may stand in a certificate.",
  "spiffe://example.test/",
);
const emailPatterns = patterns(
  "Mail addresses that may stand in a certificate: `user@example.test`, `@example.test` for all of one host, `.example.test` for all hosts below.",
  "@example.test",
);
const upnPatterns = patterns(
  "User principal names (Microsoft's otherName, for smart cards and 802.1X) that may stand in a certificate: the same patterns as for `email`.",
  "@example.test",
);
const aboutWildcard = {
  description: "Whether `*.name` may be certified where `dns` allows the names below.",
  examples: [false] as const,
};
const aboutSubjectAltName = {
  description: "Names that may stand in a certificate. A kind without a pattern is refused.",
  examples: [{ dns: [".example.test"], ip: ["10.0.0.0/8"] }] as const,
};

const listOfText = (about: ReturnType<typeof patterns>) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 500, expected: "a pattern" }), about);

const withoutDefault = { additionalProperties: false } as const;

const aboutRsa = {
  description: "Sizes of RSA keys that may be certified, or false for none.",
  examples: [{ min: 3072, max: 4096 }, false] as const,
  expected: "{ min, max } in bits, or false",
};
const rsaSizes = Type.Object(
  {
    min: count(2048, 16_384, {
      description: "Smallest RSA modulus.",
      unit: "bits",
      default: 2048,
      examples: [3072],
    }),
    max: count(2048, 16_384, {
      description: "Largest RSA modulus.",
      unit: "bits",
      default: 8192,
      examples: [4096],
    }),
  },
  withoutDefault,
);
const aboutEc = {
  description: "Curves of EC keys that may be certified.",
  examples: [["P-256"]] as const,
  expected: "a list of P-256, P-384, P-521",
};
const curve = word(["P-256", "P-384", "P-521"], { description: "A curve.", examples: ["P-256"] });
const aboutEd25519 = {
  description: "Whether Ed25519 keys may be certified.",
  examples: [true] as const,
};
const aboutEd448 = {
  description: "Whether Ed448 keys may be certified.",
  examples: [false] as const,
};
const aboutKeys = {
  description: "Which public keys may be certified.",
  examples: [{ rsa: { min: 3072, max: 4096 }, ec: ["P-256"] }] as const,
};

/** The policy that every profile starts from. */
export const policySchema = Type.Object(
  {
    subject: Type.Union([Type.Literal("anything"), subjectRules], {
      ...subjectSchema,
      default: {
        countryName: "match",
        stateOrProvinceName: "match",
        organizationName: "match",
        organizationalUnitName: "optional",
        commonName: "supplied",
        emailAddress: "optional",
      },
    }),
    stringTypes: word(["same", "any"], {
      description:
        "What `match` compares with the authority's certificate. `any` compares the text only (RFC 5280 7.1); `same` also the string type (UTF8String, PrintableString), as `openssl ca` does.",
      default: "any",
      examples: ["same"],
    }),
    subjectAltName: Type.Object(
      {
        dns: listOfText({ ...dnsPatterns, ...{ default: [] } }),
        ip: listOfText({ ...ipPatterns, ...{ default: [] } }),
        uri: listOfText({ ...uriPatterns, ...{ default: [] } }),
        email: listOfText({ ...emailPatterns, ...{ default: [] } }),
        upn: listOfText({ ...upnPatterns, ...{ default: [] } }),
        wildcard: yesNo({ ...aboutWildcard, default: false }),
      },
      { ...aboutSubjectAltName, ...withoutDefault, default: {} },
    ),
    keys: Type.Object(
      {
        rsa: Type.Union([Type.Literal(false), rsaSizes], {
          ...aboutRsa,
          default: { min: 2048, max: 8192 },
        }),
        ec: Type.Array(curve, { ...aboutEc, default: ["P-256", "P-384", "P-521"] }),
        ed25519: yesNo({ ...aboutEd25519, default: true }),
        ed448: yesNo({ ...aboutEd448, default: false }),
      },
      { ...aboutKeys, ...withoutDefault, default: {} },
    ),
    blockedKeys: Type.Optional(
      path({
        description:
          "File of public keys that are never certified: one hex SHA-256 of a SubjectPublicKeyInfo a line, # for comments.",
        examples: ["blocked-keys.txt"],
      }),
    ),
    keyReuse: word(["report", "refuse"], {
      description:
        "What happens when a public key is already certified for another identity: the answer says so, or the request is refused.",
      default: "report",
      examples: ["refuse"],
    }),
  },
  withoutDefault,
);

const renewSchema = Type.Object(
  {
    before: renewBefore({
      description: "How long before its end a certificate is due for renewal.",
      default: "1/3",
      examples: ["1/3", "10d"],
    }),
    maxLineageAge: Type.Optional(
      duration({
        description:
          "How long renewals may follow from one enrolment; after that the holder enrols again. No limit when absent.",
        examples: ["1y"],
      }),
    ),
    allowNewKey: yesNo({
      description: "Whether a renewal may bring a new key.",
      default: true,
      examples: [false],
    }),
    revokeOld: yesNo({
      description: "Whether a renewal revokes the certificate that it replaces, as superseded.",
      default: false,
      examples: [true],
    }),
    graceAfterExpiry: duration({
      description:
        "How long after its end a certificate may still be renewed by the holder of its key. Longer means that a stolen old key stays useful for longer.",
      default: 0,
      examples: ["1d"],
    }),
  },
  {
    description: "Renewal by the holder of a certificate.",
    examples: [{ before: "1/3", maxLineageAge: "1y" }],
    default: {},
    additionalProperties: false,
  },
);

/** A kind of certificate: what it is for, how long, and what it tightens of the policy. */
export const profileSchema = Type.Object(
  {
    extendedKeyUsage: Type.Array(
      Type.String({ minLength: 1, expected: "a name or a dotted OID" }),
      {
        description: "What the certificate is for: names of RFC 5280 4.2.1.12, or dotted OIDs.",
        examples: [["clientAuth", "serverAuth"]],
        expected: "a list of usages such as [clientAuth]",
        minItems: 1,
      },
    ),
    validity: duration({
      description: "Lifetime when the request does not ask for one.",
      least: 1,
      examples: ["30d"],
    }),
    maxValidity: Type.Optional(
      duration({
        description: "Longest lifetime that a request may ask for; as `validity` when absent.",
        least: 1,
        examples: ["90d"],
      }),
    ),
    role: Type.Optional(
      word(["operator"], {
        description:
          "What holders may do here beside what every holder may. It stands in each certificate of the profile (a certificate policy); a renewal does not add it.",
        examples: ["operator"],
      }),
    ),
    keyUsage: Type.Optional(
      Type.Array(
        word(
          [
            "digitalSignature",
            "nonRepudiation",
            "keyEncipherment",
            "dataEncipherment",
            "keyAgreement",
            "encipherOnly",
            "decipherOnly",
          ],
          { description: "A key usage.", examples: ["digitalSignature"] },
        ),
        {
          description:
            "Key usage (RFC 5280 4.2.1.3); what fits the usages and the key type when absent.",
          examples: [["digitalSignature", "nonRepudiation"]],
          expected: "a list of key usages",
          minItems: 1,
        },
      ),
    ),
    nsCertType: Type.Optional(
      Type.Array(
        word(["client", "server", "email", "objsign"], {
          description: "A Netscape certificate type.",
          examples: ["client"],
        }),
        {
          description: "Netscape certificate type, for old software only.",
          examples: [["client", "email"]],
          expected: "a list of client, server, email, objsign",
          minItems: 1,
        },
      ),
    ),
    nsComment: Type.Optional(
      text({
        description: "Netscape comment, for old software only.",
        examples: ["Issued by Countersign"],
      }),
    ),
    certificatePolicies: Type.Optional(
      Type.Array(
        Type.String({
          pattern: "^[0-2](\\.(0|[1-9][0-9]*))+$",
          expected: "a dotted OID",
        }),
        {
          description: "OIDs of the certificate policies that the certificate is issued under.",
          examples: [["1.3.6.1.4.1.99999.1.1"]],
          expected: "a list of dotted OIDs",
          minItems: 1,
        },
      ),
    ),
    subject: Type.Optional(
      Type.Union([Type.Literal("anything"), subjectRules], {
        ...subjectSchema,
        examples: [{ countryName: "match", commonName: "supplied" }],
      }),
    ),
    subjectAltName: Type.Optional(
      Type.Object(
        {
          dns: Type.Optional(listOfText(dnsPatterns)),
          ip: Type.Optional(listOfText(ipPatterns)),
          uri: Type.Optional(listOfText(uriPatterns)),
          email: Type.Optional(listOfText(emailPatterns)),
          upn: Type.Optional(listOfText(upnPatterns)),
          wildcard: Type.Optional(yesNo(aboutWildcard)),
        },
        { ...aboutSubjectAltName, ...withoutDefault },
      ),
    ),
    keys: Type.Optional(
      Type.Object(
        {
          rsa: Type.Optional(Type.Union([Type.Literal(false), rsaSizes], aboutRsa)),
          ec: Type.Optional(Type.Array(curve, aboutEc)),
          ed25519: Type.Optional(yesNo(aboutEd25519)),
          ed448: Type.Optional(yesNo(aboutEd448)),
        },
        { ...aboutKeys, ...withoutDefault },
      ),
    ),
    renew: renewSchema,
  },
  withoutDefault,
);
