import Type, { type Static } from "typebox";
import type { SchemaNode } from "./node.ts";
import { policySchema, profileSchema } from "./policy.ts";
import { tokensSchema } from "./tokens.ts";
import {
  closed,
  count,
  databaseUrl,
  duration,
  path,
  port,
  portOrOff,
  secret,
  text,
  url,
  word,
  yesNo,
} from "./values.ts";

/**
 * The one description of the configuration. From it come the type, the validation, the JSON Schema
 * for editors, the reference page, and the names of environment variables and flags.
 */

const rate = (description: string, max: number) =>
  Type.Object(
    {
      max: count(1, 100_000_000, {
        description: "Requests within one window.",
        default: max,
        examples: [max],
      }),
      window: duration({
        description: "The window.",
        least: 1,
        most: 86_400,
        default: "1m",
        examples: ["10s"],
      }),
    },
    { description, examples: [{ max, window: "1m" }], ...closed },
  );

const issuingAlgorithms = [
  "sha256WithRSAEncryption",
  "sha384WithRSAEncryption",
  "sha512WithRSAEncryption",
  "rsassaPss-SHA256",
  "rsassaPss-SHA384",
  "rsassaPss-SHA512",
  "ecdsa-with-SHA256",
  "ecdsa-with-SHA384",
  "ecdsa-with-SHA512",
  "Ed25519",
  "Ed448",
] as const;

const issuerSchema = Type.Object(
  {
    certificate: path({
      description: "The issuing certificate, PEM.",
      default: "issuing.crt",
      examples: ["issuing.crt"],
    }),
    chain: path({
      description: "The issuing certificate and those above it up to the root, PEM.",
      default: "chain.pem",
      examples: ["chain.pem"],
    }),
    key: path({
      description: "The issuing private key: a PEM file, encrypted or not.",
      expected: "the path of a PEM file; a key in a token or HSM cannot be used",
      default: "issuing.key",
      examples: ["issuing.key"],
    }),
    passphrase: Type.Optional(
      secret({
        description: "Passphrase of the key file, and of the other keys in the data folder.",
        examples: [{ file: "passphrase.txt" }, { env: "CA_PASSPHRASE" }],
      }),
    ),
    signatureAlgorithm: Type.Optional(
      word(issuingAlgorithms, {
        description:
          "How the issuing key signs certificates and CRLs; what fits the key when absent (for RSA: PKCS#1 v1.5 with SHA-256).",
        examples: ["sha384WithRSAEncryption", "rsassaPss-SHA256"],
      }),
    ),
  },
  { description: "What signs certificates.", examples: [{ key: "issuing.key" }], ...closed },
);

const listenSchema = Type.Object(
  {
    host: Type.String({
      description: "Address of the TLS listener.",
      default: "0.0.0.0",
      examples: ["127.0.0.1"],
      unit: "address",
      expected: "an address or a host name",
      pattern: "^[^\\s/]+$",
    }),
    port: port({ description: "Port of the TLS listener.", default: 8443, examples: [8443] }),
    httpHost: Type.Optional(
      Type.String({
        description: "Address of the plain HTTP listener; as `listen.host` when absent.",
        examples: ["127.0.0.1"],
        unit: "address",
        expected: "an address or a host name",
        pattern: "^[^\\s/]+$",
      }),
    ),
    httpPort: portOrOff({
      description:
        "Port of the plain HTTP listener, which serves CRL, OCSP and issuer certificates only; false for none.",
      default: 8080,
      examples: [8080, false],
    }),
    requireClientCertificate: yesNo({
      description:
        "Whether the TLS handshake refuses clients without a certificate of this authority. First enrolments and browsers without one then cannot connect.",
      default: false,
      examples: [true],
    }),
    metricsHost: Type.String({
      description: "Address of the metrics listener, which asks for no credential.",
      default: "127.0.0.1",
      examples: ["127.0.0.1"],
      unit: "address",
      expected: "an address or a host name",
      pattern: "^[^\\s/]+$",
    }),
    metricsPort: portOrOff({
      description:
        "Port of a plain HTTP listener for metrics only; false for none. Operators still read them over TLS.",
      default: false,
      examples: [9090, false],
    }),
  },
  { description: "Where the service listens.", examples: [{ port: 8443 }], ...closed },
);

const limitsSchema = Type.Object(
  {
    enabled: yesNo({
      description: "Whether requests are counted and answered 429 above a limit.",
      default: true,
      examples: [false],
    }),
    perAddress: rate("For one client address, on each of the two listeners.", 3000),
    perIdentity: rate("For one certificate or token.", 1200),
    enrolment: rate("New certificates by token or operator, in all.", 30_000),
    renewal: rate("Renewals, in all; enrolments cannot use them up.", 30_000),
    exports: count(1, 1000, {
      description:
        "How many lists of the index (NDJSON, CSV, index.txt) stream at once, in all. Each process counts its own.",
      default: 8,
      examples: [8],
    }),
    exportsPerIdentity: count(1, 1000, {
      description: "The same for one certificate.",
      default: 2,
      examples: [2],
    }),
    stalledReader: duration({
      description: "How long a client may take nothing of an answer before it is cut off.",
      least: 1,
      most: 3600,
      default: "30s",
      examples: ["30s"],
    }),
    bodyBytes: count(1024, 65_536, {
      description: "Largest request body.",
      unit: "bytes",
      default: 65_536,
      examples: [65_536],
    }),
    headersTimeout: duration({
      description: "Time for a client to send the headers of a request.",
      least: 1,
      most: 3600,
      default: "10s",
      examples: ["10s"],
    }),
    requestTimeout: duration({
      description: "Time for a client to send a whole request.",
      least: 1,
      most: 3600,
      default: "30s",
      examples: ["30s"],
    }),
    handshakeTimeout: duration({
      description: "Time for the TLS handshake.",
      least: 1,
      most: 3600,
      default: "10s",
      examples: ["10s"],
    }),
  },
  { description: "Bounds on what clients may ask for.", examples: [{ enabled: true }], ...closed },
);

const crlSchema = Type.Object(
  {
    validity: duration({
      description: "Time from thisUpdate to nextUpdate; a new one is made at half of it.",
      least: 60,
      default: "24h",
      examples: ["24h"],
    }),
    deltaValidity: Type.Optional(
      duration({
        description:
          "Time from thisUpdate to nextUpdate of delta CRLs. Without it none are published.",
        least: 60,
        examples: ["1h"],
      }),
    ),
    partitions: count(1, 1024, {
      description:
        "How many lists the certificates are spread over; each names its own. 1 is one list for all. The number may be changed at any time: issued certificates keep the list that they name.",
      default: 1,
      examples: [16],
    }),
  },
  { description: "Certificate revocation lists.", examples: [{ validity: "24h" }], ...closed },
);

const ocspSchema = Type.Object(
  {
    validity: duration({
      description: "Time from thisUpdate to nextUpdate of an answer.",
      least: 60,
      default: "1h",
      examples: ["1h"],
    }),
    nonce: yesNo({
      description: "Whether a nonce in a request is answered (RFC 9654).",
      default: true,
      examples: [false],
    }),
  },
  { description: "The OCSP responder.", examples: [{ validity: "1h" }], ...closed },
);

/** All of `countersign.yaml`. */
const configType = Type.Object(
  {
    name: text({
      description: "The authority's name: issuer of its tokens, title of its pages.",
      examples: ["Example Internal CA"],
    }),
    publicUrl: url("https", {
      description: "The address at which clients reach the TLS listener.",
      examples: ["https://ca.example.test:8443"],
    }),
    publicHttpUrl: Type.Optional(
      url("http", {
        description:
          "The address of the plain listener, written into certificates for CRL, OCSP and issuer. Without it they carry none. After a change let the old address lead here too, as long as certificates name it.",
        examples: ["http://ca.example.test:8080"],
      }),
    ),
    listen: listenSchema,
    database: databaseUrl({
      description: "Where certificates are recorded: SQLite in a file, or PostgreSQL.",
      default: "sqlite:countersign.db",
      examples: ["sqlite:countersign.db", "postgres://countersign@db.example.test/countersign"],
    }),
    issuer: issuerSchema,
    rootCertificate: path({
      description: "The root certificate, PEM.",
      default: "root.crt",
      examples: ["root.crt"],
    }),
    tokenKey: path({
      description: "The key that signs enrolment tokens, PEM, EC P-256.",
      default: "token.key",
      examples: ["token.key"],
    }),
    policy: Type.Union([Type.Literal("anything"), policySchema], {
      description:
        "What may be certified. `anything` takes any subject with a common name, and any name that the caller's credential entitles to.",
      default: {},
      examples: [{ subject: { commonName: "supplied" } }, "anything"],
      expected: "a policy, or the word anything",
    }),
    profiles: Type.Record(Type.String({ pattern: "^[a-z0-9][a-z0-9-]{0,62}$" }), profileSchema, {
      description:
        "Kinds of certificates by name: lower-case letters, digits and hyphens. A profile may tighten the policy.",
      default: {
        client: { extendedKeyUsage: ["clientAuth"], validity: "30d", maxValidity: "90d" },
        server: { extendedKeyUsage: ["serverAuth"], validity: "30d", maxValidity: "90d" },
        peer: {
          extendedKeyUsage: ["clientAuth", "serverAuth"],
          validity: "30d",
          maxValidity: "90d",
        },
        operator: { extendedKeyUsage: ["clientAuth"], validity: "90d", role: "operator" },
      },
      examples: [{ client: { extendedKeyUsage: ["clientAuth"], validity: "30d" } }],
      expected: "lower-case letters, digits and hyphens as the name of a profile",
      minProperties: 1,
    }),
    noRevAvailUnder: duration({
      description:
        "Certificates that live shorter than this carry noRevAvail (RFC 9608) instead of CRL and OCSP addresses; 0 for none.",
      default: 0,
      examples: ["24h"],
    }),
    backdate: duration({
      description: "How far notBefore lies before the time of issuance, for slow clocks.",
      most: 300,
      default: "1m",
      examples: ["5m"],
    }),
    tokens: tokensSchema,
    index: Type.Object(
      {
        readers: word(["certificate", "operator"], {
          description: "Who may read the index: every holder of a certificate, or operators only.",
          default: "certificate",
          examples: ["operator"],
        }),
      },
      { description: "The index of certificates.", examples: [{ readers: "operator" }], ...closed },
    ),
    limits: limitsSchema,
    crl: crlSchema,
    ocsp: ocspSchema,
    log: Type.Object(
      {
        level: word(["trace", "debug", "info", "warn", "error", "silent"], {
          description: "Least severity that is written.",
          default: "info",
          examples: ["warn"],
        }),
      },
      {
        description: "The log, JSON lines on standard output.",
        examples: [{ level: "warn" }],
        ...closed,
      },
    ),
  },
  { additionalProperties: false },
);

/** The configuration as the program gets it: complete, durations in seconds, paths absolute. */
export type Config = Static<typeof configType>;

/** The same schema as a tree to walk. */
export const configSchema: SchemaNode = configType;
