import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { Authority } from "../../authority/authority.ts";
import type { Profile } from "../../policy/profile.ts";
import { extendedKeyUsageName } from "../../x509/extensions/encode.ts";
import { attributesOf } from "../../x509/name/read.ts";

const names = Type.Object({
  dns: Type.Array(Type.String()),
  ip: Type.Array(Type.String()),
  uri: Type.Array(Type.String()),
  email: Type.Array(Type.String()),
  upn: Type.Array(Type.String()),
  wildcard: Type.Boolean(),
});

const subjectRule = Type.Object({
  attribute: Type.String({ examples: ["countryName"] }),
  rule: Type.String({ enum: ["match", "supplied", "optional"] }),
  value: Type.Optional(
    Type.Array(Type.String(), { description: "What `match` compares with: the CA's own values." }),
  ),
});

const profileDescription = Type.Object({
  name: Type.String({ examples: ["server"] }),
  role: Type.Optional(Type.String({ examples: ["operator"] })),
  extendedKeyUsage: Type.Array(Type.String(), { examples: [["serverAuth"]] }),
  validitySeconds: Type.Integer(),
  maxValiditySeconds: Type.Integer(),
  subject: Type.Array(subjectRule, {
    description: "In the order in which they stand in the certificate.",
  }),
  subjectAltName: names,
  keys: Type.Object({
    rsa: Type.Optional(Type.Object({ min: Type.Integer(), max: Type.Integer() })),
    ec: Type.Array(Type.String()),
    ed25519: Type.Boolean(),
    ed448: Type.Boolean(),
  }),
  renew: Type.Object({
    before: Type.Number({ description: "Part of the lifetime that is left when renewal starts." }),
    maxLineageAgeSeconds: Type.Optional(Type.Integer()),
    allowNewKey: Type.Boolean(),
    revokeOld: Type.Boolean(),
  }),
});

/** `GET /v1/policy`: the rules, with the CA's values filled in. */
export function policyRoutes(app: FastifyInstance, authority: Authority): void {
  app.get(
    "/v1/policy",
    {
      config: { caller: "public" },
      schema: {
        operationId: "readPolicy",
        tags: ["authority"],
        summary: "The rules that a request must keep, by profile",
        response: {
          200: Type.Object({ profiles: Type.Array(profileDescription) }, { title: "Policy" }),
        },
      },
    },
    async () => ({
      profiles: [...authority.profiles.values()].map((profile) => describe(profile, authority)),
    }),
  );
}

function describe(profile: Profile, authority: Authority) {
  const own = attributesOf(authority.issuers.active.certificate.subject);
  return {
    name: profile.name,
    role: profile.role,
    extendedKeyUsage: profile.extendedKeyUsage.map(extendedKeyUsageName),
    validitySeconds: profile.validitySeconds,
    maxValiditySeconds: profile.maxValiditySeconds,
    subject: profile.subject.entries.map(({ oid, name, rule }) => ({
      attribute: name,
      rule,
      ...(rule === "match" && {
        value: own.filter((one) => one.type === oid).map((one) => one.value),
      }),
    })),
    subjectAltName: profile.altNames,
    keys: profile.keys,
    renew: {
      before: profile.renew.beforeFraction,
      maxLineageAgeSeconds: profile.renew.maxLineageAgeSeconds,
      allowNewKey: profile.renew.allowNewKey,
      revokeOld: profile.renew.revokeOld,
    },
  };
}
