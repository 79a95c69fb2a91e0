/** The shapes of the REST interface: validation, serialisation and OpenAPI are these same objects. */

import { type TOptional, type TSchema, type TUnsafe, Type } from "typebox";
import { reasonNames } from "../../authority/revoke.ts";
import {
  certificateStatuses,
  type FilterName,
  type FilterTexts,
  filterEntries,
} from "../../store/index/filters.ts";
import { exampleCsr } from "./example-csr.ts";

const text = (description: string, example?: unknown) =>
  Type.String({ description, ...(example === undefined ? {} : { examples: [example] }) });
/** One of some words. `Type.Enum` would leave the type out, which readers of OpenAPI want. */
const choice = <const T extends string>(values: readonly T[], options: object) =>
  Type.Unsafe<T>(Type.String({ enum: [...values], ...options }));
const instant = (description: string, example = "2026-12-01T12:00:00.000Z") =>
  Type.String({ format: "date-time", description, examples: [example] });

export const violation = Type.Object(
  {
    field: text(
      "Where: a path such as `subject.stateOrProvinceName`.",
      "subject.stateOrProvinceName",
    ),
    rule: text("The rule that was broken, as a stable identifier.", "subject.match"),
    got: text("What the request had.", "Bavaria"),
    want: text("What was wanted.", "Karnataka"),
    message: text(
      "One sentence for a person.",
      "The stateOrProvinceName field needed to be the same in the CA certificate (Karnataka) and the request (Bavaria)",
    ),
  },
  { $id: "Violation", title: "Violation" },
);

export const notice = Type.Object(
  {
    field: text("What of the request was dropped or changed.", "subject.localityName"),
    rule: text("By which rule.", "subject.unnamed"),
    message: text("One sentence for a person."),
  },
  { $id: "Notice", title: "Notice" },
);

export const problem = Type.Object(
  {
    type: text(
      "Stable identifier of the kind of problem; docs/reference/errors.md has cause and cure.",
      "urn:countersign:error:policy-violation",
    ),
    title: text("The kind of problem in words.", "Refused by policy"),
    status: Type.Integer({ description: "The HTTP status.", examples: [422] }),
    detail: text("What was wrong with this request, and what to do next."),
    instance: text("The path that was asked for.", "/v1/certificates"),
    requestId: text("Finds the request in log and audit.", "req-1f"),
    cure: text("What to do next.", "Wait as long as Retry-After says, then try again."),
    violations: Type.Optional(Type.Array(Type.Ref("Violation"))),
  },
  { $id: "Problem", title: "Problem", description: "RFC 9457 problem document." },
);

const entryFields = {
  serial: text("Serial number, lower-case hex.", "5f0c9a3e7d1b2c4d5e6f708192a3b4c5d6"),
  status: choice(certificateStatuses, {
    description: "The standing of the certificate at this moment.",
    examples: ["valid"],
  }),
  profile: text("The profile that it was issued by.", "server"),
  subject: text("Distinguished name, for people.", "C=IN, ST=Karnataka, O=Example, CN=web"),
  subjectAltNames: Type.Array(Type.String(), {
    description: "Canonical names, each with its kind.",
    examples: [["dns:web.example.test"]],
  }),
  issuer: text(
    "Distinguished name of the issuer.",
    "C=IN, ST=Karnataka, O=Example, CN=Example Internal CA",
  ),
  notBefore: instant("Start of validity."),
  notAfter: instant("End of validity."),
  issuedAt: instant("When it was signed."),
  renewAfter: instant("From when on it should be renewed."),
  sha256: Type.Optional(text("Hex SHA-256 of the certificate (DER).")),
  spkiSha256: Type.Optional(text("Hex SHA-256 of the public key (SubjectPublicKeyInfo, DER).")),
  keyType: text("Type of the public key.", "P-256"),
  requestedBy: text("Who asked for it.", "token:7f1f2a4e-0e0f-4b1c-9f7e-0b8f5a1c2d3e"),
  via: text("How: token, operator, renewal, internal, import.", "token"),
  lineage: text("Serial of the first certificate of this identity's line of renewals."),
  replaces: Type.Optional(text("Serial of the certificate that this one renewed.")),
  revokedAt: Type.Optional(instant("When it was revoked or put on hold.")),
  revocationReason: Type.Optional(text("RFC 5280 reason.", "keyCompromise")),
  certificate: Type.Optional(text("PEM of the certificate; in listings with `include=pem`.")),
  chain: Type.Optional(text("PEM of the issuers below the root; in listings with `include=pem`.")),
} as const;

export const entry = Type.Object(entryFields, {
  $id: "Certificate",
  title: "Certificate",
  description: "An entry of the issuance index.",
});

export const revokedEntry = Type.Object(
  {
    ...entryFields,
    descendants: Type.Optional(
      Type.Array(Type.String(), {
        description: "With `lineage`: the serials of what was changed along with it.",
      }),
    ),
  },
  {
    $id: "RevokedCertificate",
    title: "RevokedCertificate",
    description: "An entry of the index after its revocation changed.",
  },
);

export const issuedEntry = Type.Object(
  {
    ...entryFields,
    notices: Type.Array(Type.Ref("Notice"), {
      description:
        "What of the request was dropped or changed; nothing is ever ignored in silence.",
    }),
  },
  { $id: "IssuedCertificate", title: "IssuedCertificate" },
);

export const listing = Type.Object(
  {
    items: Type.Array(Type.Ref("Certificate")),
    next: Type.Optional(text("Cursor of the next page; absent on the last.")),
  },
  { $id: "CertificateList", title: "CertificateList" },
);

export const checkResult = Type.Object(
  {
    verdict: choice(["accepted", "refused"], { examples: ["accepted"] }),
    violations: Type.Array(Type.Ref("Violation")),
    notices: Type.Array(Type.Ref("Notice")),
    preview: Type.Optional(
      Type.Object({
        profile: text("Profile."),
        subject: text("Distinguished name."),
        subjectAltNames: Type.Array(Type.String()),
        issuer: text("Distinguished name of the issuer."),
        notBefore: instant("Start of validity."),
        notAfter: instant("End of validity."),
        renewAfter: instant("From when on it should be renewed."),
        keyType: text("Type of the public key."),
        spkiSha256: text("Hex SHA-256 of the public key."),
        extensions: Type.Array(
          Type.Object({
            oid: text("Object identifier.", "2.5.29.15"),
            name: text("Name.", "keyUsage"),
            critical: Type.Boolean(),
            value: text("Hex of the DER value."),
          }),
        ),
      }),
    ),
  },
  { $id: "CheckResult", title: "CheckResult" },
);

export const csrBody = Type.Object(
  {
    csr: text("PKCS#10 request: PEM, or base64 of its DER.", exampleCsr),
    profile: Type.Optional(text("Name of the profile.", "server")),
    validity: Type.Optional(
      Type.Union([Type.String(), Type.Integer({ minimum: 1 })], {
        description: "Lifetime: `36h`, `30d`, or seconds.",
        examples: ["30d"],
      }),
    ),
    notBefore: Type.Optional(instant("Start of validity.")),
    notAfter: Type.Optional(instant("End of validity.")),
  },
  { $id: "CertificateRequest", title: "CertificateRequest", additionalProperties: false },
);

export const renewalBody = Type.Object(
  { ...csrBody.properties, csr: Type.Optional(csrBody.properties.csr) },
  { $id: "RenewalRequest", title: "RenewalRequest", additionalProperties: false },
);

export const csrQuery = Type.Object(
  {
    profile: Type.Optional(text("Name of the profile.", "server")),
    validity: Type.Optional(text("Lifetime: `36h`, `30d`, or seconds.", "30d")),
    notBefore: Type.Optional(instant("Start of validity.")),
    notAfter: Type.Optional(instant("End of validity.")),
  },
  { additionalProperties: false },
);

export const revocationBody = Type.Object(
  {
    reason: Type.Optional(
      Type.Union([Type.String(), Type.Integer()], {
        description: `RFC 5280 reason by name or number: ${reasonNames.join(", ")}. \`removeFromCRL\` releases a hold.`,
        examples: ["keyCompromise"],
      }),
    ),
    lineage: Type.Optional(
      Type.Boolean({
        description: "Does the same to every living certificate that was renewed from this one.",
      }),
    ),
    renewals: Type.Optional(
      choice(["barred", "allowed"], {
        description:
          "Whether what was renewed from it may renew on. `keyCompromise` bars it by default; only operators may allow it.",
      }),
    ),
  },
  { $id: "RevocationRequest", title: "RevocationRequest", additionalProperties: false },
);

export const serialParams = Type.Object({
  serial: Type.String({
    pattern: "^(0[xX])?[0-9a-fA-F](:?[0-9a-fA-F]){0,63}$",
    description: "Serial number in hex; colons, upper case and a leading 0x are accepted.",
  }),
});

/** The filters of the index as parameters. No examples: Swagger UI would send them unchosen. */
const filterSchemas = Object.fromEntries(
  filterEntries.map(([name, { choices, minLength, finds }]) => {
    const description = `${finds.charAt(0).toUpperCase()}${finds.slice(1)}.`;
    const schema = choices
      ? choice(choices, { description })
      : Type.String({ ...(minLength !== undefined && { minLength }), description });
    return [name, Type.Optional(schema)];
  }),
) as { [K in FilterName]: TOptional<TUnsafe<NonNullable<FilterTexts[K]>>> };

export const indexQuery = Type.Object(
  {
    ...filterSchemas,
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: "Entries a page." }),
    ),
    cursor: Type.Optional(text("`next` of the page before, with the same filters.")),
    include: Type.Optional(
      choice(["pem"], { description: "Adds certificate and chain to each entry." }),
    ),
  },
  { additionalProperties: false },
);

export const tokenBody = Type.Object(
  {
    profile: text("Profile that the token is for.", "server"),
    cn: Type.Optional(text("The CN that the certificate will have.", "web")),
    sans: Type.Optional(
      Type.Array(Type.String(), {
        description: "The names it may carry at most.",
        examples: [["dns:web.example.test"]],
        maxItems: 100,
      }),
    ),
    subject: Type.Optional(
      Type.String({
        maxLength: 2000,
        description:
          "Attributes that the certificate's subject will have exactly so, the CN apart. A request must match them, or leave them out.",
        examples: ["OU=team-a"],
      }),
    ),
    ttl: Type.Optional(
      Type.Union([Type.String(), Type.Integer({ minimum: 1 })], {
        description: "Lifetime: `10m`, `1h`, or seconds.",
        examples: ["10m"],
      }),
    ),
    uses: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: "With how many keys it may be used.",
        examples: [1],
      }),
    ),
    csrSha256: Type.Optional(
      Type.String({
        pattern: "^[0-9a-f]{64}$",
        description: "Binds it to one request (hex SHA-256 of the DER).",
      }),
    ),
  },
  { $id: "TokenRequest", title: "TokenRequest", additionalProperties: false },
);

export const mintedToken = Type.Object(
  {
    token: text("The JWT, for `Authorization: Bearer`."),
    id: text("Its `jti`; the index and the audit name it."),
    expiresAt: instant("End of its life."),
  },
  { $id: "Token", title: "Token" },
);

export const renewalInfo = Type.Object(
  {
    suggestedWindow: Type.Object({
      start: instant("Renew from here on."),
      end: instant("At the latest."),
    }),
    explanationURL: Type.Optional(text("Why, when there is a reason out of the ordinary.")),
  },
  { $id: "RenewalInfo", title: "RenewalInfo" },
);

/** Everything that other schemas refer to by `$id`. */
export const sharedSchemas: readonly TSchema[] = [
  violation,
  notice,
  problem,
  entry,
  issuedEntry,
  revokedEntry,
  listing,
  checkResult,
  csrBody,
  renewalBody,
  revocationBody,
  tokenBody,
  mintedToken,
  renewalInfo,
];
