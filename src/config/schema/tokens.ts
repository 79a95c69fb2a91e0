import Type from "typebox";
import { closed, duration, pathOrUrl, text, word, yesNo } from "./values.ts";

/** The part of the configuration that says which tokens entitle to enrol. */

const trustedIssuerSchema = Type.Object(
  {
    issuer: text({
      description: "The `iss` of its tokens, exactly.",
      examples: ["https://token.actions.githubusercontent.com"],
    }),
    audience: text({
      description:
        "The `aud` that its tokens must name. The same issuer may stand here again with another audience.",
      examples: ["https://ca.example.test:8443"],
    }),
    jwks: pathOrUrl({
      description: "Its public keys, as a JSON Web Key Set.",
      examples: ["https://kubernetes.default.svc/openid/v1/jwks", "cluster-jwks.json"],
    }),
    algorithms: Type.Array(
      word(
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
        { description: "A JWS algorithm.", examples: ["RS256"] },
      ),
      {
        description: "Signature algorithms that its tokens may use.",
        default: ["RS256", "ES256"],
        examples: [["RS256"]],
        expected: "a list of asymmetric JWS algorithms",
        minItems: 1,
      },
    ),
    claims: Type.Object(
      {
        commonName: Type.String({
          description: "The claim that gives the common name.",
          default: "sub",
          examples: ["sub"],
          expected: "the name of a claim",
          minLength: 1,
        }),
        subjectAltName: Type.Array(
          Type.String({
            pattern: "^(dns|ip|uri|email):.+$",
            expected: "a name such as dns:{claim}.svc",
          }),
          {
            description:
              "Names that a token entitles to; `{claim}` stands for the value of that claim.",
            default: [],
            examples: [["dns:{sub}.svc"]],
            expected: "a list of names such as dns:{claim}.svc",
          },
        ),
        allowDots: yesNo({
          description:
            "Whether a claim may fill more than one label of a host (with a dot), or more than one segment of a URI. Without it, a common name that is a host must be among the names. Say yes only when no holder can choose such a value, since `a.b` in `dns:{account}.{namespace}.svc` reaches into another namespace.",
          default: false,
          examples: [true],
        }),
      },
      {
        description: "How claims become names.",
        examples: [{ commonName: "sub", subjectAltName: ["dns:{sub}.svc"] }],
        ...closed,
      },
    ),
    profile: text({
      description: "The profile that its tokens entitle to.",
      examples: ["client"],
    }),
    oneTime: yesNo({
      description:
        "Whether each of its tokens gives one certificate only. Its tokens must then carry a `jti`.",
      default: true,
      examples: [false],
    }),
  },
  { additionalProperties: false },
);

export const tokensSchema = Type.Object(
  {
    ttl: duration({
      description: "Life of an enrolment token when not asked otherwise.",
      least: 1,
      most: 86_400,
      default: "10m",
      examples: ["10m"],
    }),
    maxTtl: duration({
      description: "Longest life of an enrolment token.",
      least: 1,
      most: 86_400,
      default: "24h",
      examples: ["1h"],
    }),
    issuers: Type.Array(trustedIssuerSchema, {
      description:
        "Others whose JWTs enrol here: Kubernetes service accounts, CI systems, any OpenID provider.",
      default: [],
      examples: [
        [
          {
            issuer: "https://kubernetes.default.svc",
            audience: "https://ca.example.test:8443",
            jwks: "cluster-jwks.json",
            profile: "client",
          },
        ],
      ],
      expected: "a list of issuers",
    }),
  },
  { description: "Tokens that entitle to enrol.", examples: [{ ttl: "10m" }], ...closed },
);
