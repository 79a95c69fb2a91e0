import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { Authority } from "../../authority/authority.ts";
import type { Issuer, Issuers } from "../../authority/issuers.ts";
import { refused } from "../../refusal.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { parsePublicKey } from "../../x509/key/read-public.ts";
import { formatName } from "../../x509/name/read.ts";
import { chooseType, pemChainType, unwrap } from "./bodies.ts";

/** Addresses at which relying parties find things, as `GET /v1/ca` names them. */
export interface CaUrls {
  readonly chain: string;
  readonly root: string;
  readonly crl?: string;
  readonly ocsp?: string;
  readonly issuer?: string;
}

const caCertificate = Type.Object({
  id: Type.Optional(Type.String({ description: "Name of the issuer in URLs." })),
  subject: Type.String({ description: "Distinguished name, for people." }),
  issuer: Type.String(),
  serial: Type.String(),
  notBefore: Type.String({ format: "date-time" }),
  notAfter: Type.String({ format: "date-time" }),
  keyType: Type.String({ examples: ["P-256"] }),
  sha256: Type.String({ description: "Hex SHA-256 of the certificate (DER)." }),
  spkiSha256: Type.String({ description: "Hex SHA-256 of the public key." }),
});

const caDescription = Type.Object(
  {
    name: Type.String({ description: "Name of the authority." }),
    issuers: Type.Array(caCertificate, { description: "Who signs, the one in use first." }),
    root: caCertificate,
    urls: Type.Object({
      chain: Type.String(),
      root: Type.String(),
      crl: Type.Optional(Type.String()),
      ocsp: Type.Optional(Type.String()),
      issuer: Type.Optional(Type.String()),
    }),
    profiles: Type.Array(Type.String(), {
      description: "Profiles on offer.",
      examples: [["server"]],
    }),
  },
  { title: "CertificateAuthority" },
);

/** `/v1/ca`: who signs, and the certificates to trust. */
export function caRoutes(
  app: FastifyInstance,
  authority: Authority,
  urlsOf: (issuer: Issuer) => CaUrls,
): void {
  app.get(
    "/v1/ca",
    {
      config: { caller: "public" },
      schema: {
        operationId: "describeAuthority",
        tags: ["authority"],
        summary: "Who signs here",
        response: { 200: caDescription },
      },
    },
    async () => {
      const { active } = authority.issuers;
      return {
        name: authority.name,
        issuers: describeIssuers(authority.issuers),
        root: describe(active.root),
        urls: urlsOf(active),
        profiles: [...authority.profiles.keys()],
      };
    },
  );

  const pemAnswer = (description: string) => ({
    200: { description, content: { [pemChainType]: { schema: { type: "string" } } } },
  });
  app.get(
    "/v1/ca/chain",
    {
      config: { caller: "public", refuses: ["not-acceptable"] },
      schema: {
        operationId: "readChain",
        tags: ["authority"],
        summary: "Issuing certificates up to and including the root",
        response: pemAnswer("PEM, the issuing certificate first."),
      },
    },
    async (request, reply) => {
      unwrap(chooseType(request, [pemChainType, "text/plain"]));
      const { intermediatesPem, rootPem } = authority.issuers.active;
      return reply.type(pemChainType).send(intermediatesPem + rootPem);
    },
  );

  app.get(
    "/v1/ca/root",
    {
      config: { caller: "public", refuses: ["not-found", "not-acceptable"] },
      schema: {
        operationId: "readRoot",
        tags: ["authority"],
        summary: "The root certificate",
        description: "With `sha256`, only the root with that fingerprint, else 404.",
        querystring: Type.Object(
          {
            sha256: Type.Optional(
              Type.String({
                description: "Hex SHA-256 of the root's DER; colons and upper case are accepted.",
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: pemAnswer("PEM."),
      },
    },
    async (request, reply) => {
      unwrap(chooseType(request, [pemChainType, "text/plain"]));
      const { sha256 } = request.query as { sha256?: string };
      const wanted = sha256?.replaceAll(":", "").toLowerCase();
      const { root, rootPem } = authority.issuers.active;
      if (wanted !== undefined && wanted !== root.sha256) {
        unwrap(
          refused(
            "not-found",
            "The root of this authority has another fingerprint. Do not trust this address unless you know why.",
          ),
        );
      }
      return reply.type(pemChainType).send(rootPem);
    },
  );
}

/** The issuers, the active one first, and behind them the certificates between them and a root. */
function describeIssuers({ all, certificates }: Issuers) {
  const own = all.map((one) => ({ id: one.id, ...describe(one.certificate) }));
  const known = new Set(all.flatMap((one) => [one.certificate.sha256, one.root.sha256]));
  return [...own, ...certificates.filter((one) => !known.has(one.sha256)).map(describe)];
}

function describe(certificate: Certificate) {
  const key = parsePublicKey(certificate.spki);
  return {
    subject: formatName(certificate.subject),
    issuer: formatName(certificate.issuer),
    serial: certificate.serial,
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    keyType: key.ok ? key.value.keyType : "unknown",
    sha256: certificate.sha256,
    spkiSha256: certificate.spkiSha256,
  };
}
