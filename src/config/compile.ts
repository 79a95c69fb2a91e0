import type { ForeignIssuer } from "../authority/token/foreign.ts";
import { Profile } from "../policy/profile.ts";
import { accepted, type Outcome, type Violation } from "../refusal.ts";
import { readBlockedKeys } from "./blocked-keys.ts";
import { findContradictions } from "./contradictions.ts";
import { type LoadedConfig, refuse } from "./load/load.ts";
import { formatOrigin } from "./problem.ts";
import { basePolicyOf, profileOptionsOf } from "./profile-options.ts";
import type { Config } from "./schema/schema.ts";
import type { Secret } from "./secret.ts";

export interface Listener {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
}

/** At most `max` within each `windowSeconds`. */
export interface RateLimit {
  readonly max: number;
  readonly windowSeconds: number;
}

/** Certificate, chain and key of an issuer, as absolute paths, and how it signs. */
export type IssuerFiles = Config["issuer"];

/** What the server is built from: nothing in it needs checking again. */
export interface CompiledConfig {
  readonly name: string;
  readonly dataDir: string;
  readonly publicUrl: URL;
  readonly publicHttpUrl: URL | undefined;
  readonly listeners: {
    readonly tls: Listener & { readonly requireClientCertificate: boolean };
    readonly http: Listener | undefined;
    readonly metrics: Listener | undefined;
  };
  readonly database: Secret;
  /** Paths are absolute. */
  /** The files of each issuer; the first one issues. */
  readonly issuers: readonly [IssuerFiles, ...IssuerFiles[]];
  readonly rootCertificate: string;
  readonly tokenKey: string;
  /** By name, in the order of the file. */
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Hex SHA-256 of SubjectPublicKeyInfos that are never certified. */
  readonly blockedKeys: ReadonlySet<string>;
  readonly tokens: {
    readonly ttlSeconds: number;
    readonly maxTtlSeconds: number;
    readonly issuers: readonly ForeignIssuer[];
  };
  readonly indexReaders: "certificate" | "operator";
  /** Undefined: nothing is counted. */
  readonly rates:
    | Readonly<Record<"perAddress" | "perIdentity" | "enrolment" | "renewal", RateLimit>>
    | undefined;
  /** How many lists stream at once. */
  readonly exports: { readonly perIdentity: number; readonly inAll: number };
  readonly bodyBytes: number;
  readonly timeouts: Readonly<
    Record<
      "headersSeconds" | "requestSeconds" | "handshakeSeconds" | "stalledReaderSeconds",
      number
    >
  >;
  readonly crl: {
    readonly validitySeconds: number;
    /** Undefined: no delta CRLs. */
    readonly deltaValiditySeconds: number | undefined;
    readonly partitions: number;
  };
  readonly ocsp: { readonly validitySeconds: number; readonly nonce: boolean };
  readonly logLevel: Config["log"]["level"];
}

/**
 * Turns a loaded configuration into what the server is built from. Refuses with
 * `invalid-configuration` and every problem at once. Reads the file of blocked keys.
 */
export function compileConfig(loaded: LoadedConfig): Outcome<CompiledConfig> {
  const { values } = loaded;
  const blocked = blockedKeysOf(values);
  const profiles = compileProfiles(loaded);
  const problems: Violation[] = [
    ...findContradictions(loaded),
    ...blocked.problems,
    ...profiles.problems,
  ];
  if (problems.length > 0) {
    return refuse(problems);
  }
  const { name, rootCertificate, tokenKey, database, issuer, limits } = values;
  return accepted({
    name,
    dataDir: loaded.dataDir,
    publicUrl: new URL(values.publicUrl),
    publicHttpUrl: values.publicHttpUrl === undefined ? undefined : new URL(values.publicHttpUrl),
    listeners: listenersOf(values),
    database,
    issuers: [issuer],
    rootCertificate,
    tokenKey,
    profiles: profiles.compiled,
    blockedKeys: blocked.keys,
    tokens: {
      ttlSeconds: values.tokens.ttl,
      maxTtlSeconds: values.tokens.maxTtl,
      issuers: values.tokens.issuers.map(trustedIssuer),
    },
    indexReaders: values.index.readers,
    rates: limits.enabled
      ? {
          perAddress: rateLimit(limits.perAddress),
          perIdentity: rateLimit(limits.perIdentity),
          enrolment: rateLimit(limits.enrolment),
          renewal: rateLimit(limits.renewal),
        }
      : undefined,
    exports: { perIdentity: limits.exportsPerIdentity, inAll: limits.exports },
    bodyBytes: limits.bodyBytes,
    timeouts: {
      headersSeconds: limits.headersTimeout,
      requestSeconds: limits.requestTimeout,
      handshakeSeconds: limits.handshakeTimeout,
      stalledReaderSeconds: limits.stalledReader,
    },
    crl: {
      validitySeconds: values.crl.validity,
      deltaValiditySeconds: values.crl.deltaValidity,
      partitions: values.crl.partitions,
    },
    ocsp: { validitySeconds: values.ocsp.validity, nonce: values.ocsp.nonce },
    logLevel: values.log.level,
  });
}

/** Compiles every profile; the problems of all of them, each with its place in the file. */
function compileProfiles(loaded: LoadedConfig) {
  const base = basePolicyOf(loaded.values);
  const compiled = new Map<string, Profile>();
  const problems: Violation[] = [];
  for (const options of profileOptionsOf(loaded.values)) {
    const profile = Profile.compile(options, base);
    if (profile.ok) {
      compiled.set(options.name, profile.value);
      continue;
    }
    const above = ["profiles", options.name];
    for (const one of profile.refusal.violations ?? []) {
      const below = one.field.slice(above.join(".").length + 1).split(".");
      const place = formatOrigin(loaded.placeOf([...above, ...below]));
      problems.push({ ...one, message: `${place}: ${one.field}: ${one.message}` });
    }
  }
  return { compiled, problems };
}

function blockedKeysOf({ policy }: Config): ReturnType<typeof readBlockedKeys> {
  return policy === "anything" || policy.blockedKeys === undefined
    ? { keys: new Set(), problems: [] }
    : readBlockedKeys(policy.blockedKeys);
}

function listenersOf({ listen }: Config): CompiledConfig["listeners"] {
  const { host, port, requireClientCertificate, httpHost, httpPort } = listen;
  return {
    tls: { host, port, requireClientCertificate },
    http: httpPort === false ? undefined : { host: httpHost ?? host, port: httpPort },
    metrics:
      listen.metricsPort === false
        ? undefined
        : { host: listen.metricsHost, port: listen.metricsPort },
  };
}

function trustedIssuer(wish: Config["tokens"]["issuers"][number]): ForeignIssuer {
  const { issuer, audience, jwks, algorithms, claims, profile, oneTime } = wish;
  return {
    issuer,
    audience,
    jwks: /^https?:/.test(jwks) ? { url: new URL(jwks) } : { file: jwks },
    algorithms,
    commonNameClaim: claims.commonName,
    subjectAltNameTemplates: claims.subjectAltName,
    allowDots: claims.allowDots,
    profile,
    oneTime,
  };
}

function rateLimit({ max, window }: { readonly max: number; readonly window: number }): RateLimit {
  return { max, windowSeconds: window };
}
