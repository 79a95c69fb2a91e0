import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Authority } from "../../authority/authority.ts";
import { parseReason, reasonNames } from "../../authority/revoke.ts";
import { holderOf } from "../caller.ts";
import { Problem } from "../problem.ts";
import {
  chooseType,
  derType,
  pemChainType,
  rawTypes,
  readCsrInput,
  requireCsr,
  sendIssued,
  unwrap,
} from "./bodies.ts";
import { toEntry, toFullEntry, toPemChain } from "./entry.ts";
import { exampleCsr } from "./example-csr.ts";
import { certificatesAnswer, type IndexQuery, listingTypes } from "./listing.ts";
import { csrQuery, indexQuery, serialParams } from "./schemas.ts";
import { readSerial } from "./serial.ts";

/** `/v1/certificates`: issue, check, renew, list, show, revoke. `readers` may see the index. */
export function certificateRoutes(
  app: FastifyInstance,
  authority: Authority,
  readers: "certificate" | "operator",
): void {
  app.post(
    "/v1/certificates",
    {
      config: {
        caller: "token",
        share: "enrolment",
        refuses: [
          "malformed-csr",
          "policy-violation",
          "token-used",
          "idempotency-conflict",
          "not-acceptable",
        ],
      },
      schema: {
        operationId: "issueCertificate",
        tags: ["certificates"],
        summary: "Issue a certificate for a CSR",
        description:
          "Send the request as `openssl req -new` writes it; the answer is the certificate and its chain in PEM. With a JSON body, or `Accept: application/json`, everything known about the certificate comes back. The same token with the same key gives the same certificate again (200).",
        querystring: csrQuery,
        body: csrContent("CertificateRequest"),
        response: {
          200: issuedAnswer("The credential was used for this key before: the same certificate."),
          201: issuedAnswer("The certificate."),
        },
      },
    },
    async (request, reply) => {
      const input = readCsrInput(request);
      const type = chooseIssuedType(request, input.json);
      const csr = requireCsr(input);
      const idempotencyKey = readIdempotencyKey(request);
      const issued = await authority.issue({ ...input, csr, idempotencyKey }, request.caller);
      return sendIssued(authority, reply, type, unwrap(issued));
    },
  );

  app.post(
    "/v1/certificates/check",
    {
      config: {
        caller: "token-or-certificate",
        refuses: ["malformed-csr", "policy-violation", "not-acceptable"],
      },
      schema: {
        operationId: "checkRequest",
        tags: ["certificates"],
        summary: "What would happen to a CSR, without signing it",
        description:
          "Verdict, every violation, what of the request would be dropped or changed, and the certificate that would be issued. Signs and stores nothing; a token is not used up.",
        querystring: csrQuery,
        body: csrContent("CertificateRequest"),
        response: { 200: { description: "The verdict.", ...json("CheckResult") } },
      },
    },
    async (request, reply) => {
      unwrap(chooseType(request, ["application/json"]));
      const input = readCsrInput(request);
      const csr = requireCsr(input);
      const result = await authority.check(
        { ...input, csr, idempotencyKey: undefined },
        request.caller,
        request.peer,
      );
      return reply.type("application/json").send(unwrap(result));
    },
  );

  app.post(
    "/v1/certificates/renew",
    {
      config: {
        caller: "renewal",
        share: "renewal",
        refuses: ["malformed-csr", "policy-violation", "idempotency-conflict", "not-acceptable"],
      },
      schema: {
        operationId: "renewCertificate",
        tags: ["certificates"],
        summary: "Renew the certificate that you hold",
        description:
          "Call it with the certificate as TLS client certificate. An empty body renews the same key; a CSR brings a new one, its subject and names empty or the same. Today's policy decides.",
        querystring: csrQuery,
        body: csrContent("RenewalRequest"),
        response: {
          200: issuedAnswer("This Idempotency-Key gave this certificate before."),
          201: issuedAnswer("The new certificate."),
        },
      },
    },
    async (request, reply) => {
      const input = readCsrInput(request);
      const type = chooseIssuedType(request, input.json);
      const { caller, held } = holderOf(request);
      const idempotencyKey = readIdempotencyKey(request);
      const issued = await authority.renew({ ...input, idempotencyKey }, caller, held);
      return sendIssued(authority, reply, type, unwrap(issued));
    },
  );

  app.get(
    "/v1/certificates",
    {
      config: { caller: readers, refuses: ["not-acceptable"] },
      schema: {
        operationId: "listCertificates",
        tags: ["index"],
        summary: "Search the issuance index",
        description:
          "JSON pages with a cursor; NDJSON and CSV stream everything that matches; text/plain is OpenSSL's `index.txt`.",
        querystring: indexQuery,
        response: { 200: { description: "What matches.", ...listingTypes } },
      },
    },
    async (request, reply) =>
      certificatesAnswer(authority, request, reply, request.query as IndexQuery),
  );

  app.get(
    "/v1/certificates/:serial",
    {
      config: { caller: readers, refuses: ["not-found", "not-acceptable"] },
      schema: {
        operationId: "showCertificate",
        tags: ["index"],
        summary: "One entry of the index",
        params: serialParams,
        response: {
          200: {
            description: "The entry as JSON, the chain as PEM, or the certificate as DER.",
            content: {
              "application/json": { schema: { $ref: "Certificate#" } },
              [pemChainType]: { schema: { type: "string" } },
              [derType]: { schema: { type: "string", format: "binary" } },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const type = unwrap(chooseType(request, ["application/json", pemChainType, derType]));
      const stored = unwrap(await authority.find(readSerial(request.params)));
      const der = (await authority.readDer([stored.id])).get(stored.id);
      if (type === "application/json") {
        return reply.type(type).send(toFullEntry(authority, stored, der));
      }
      if (der === undefined) {
        throw new Problem({
          code: "not-found",
          detail: `Certificate ${stored.serial} was imported from an index without its file: only the JSON entry exists.`,
        });
      }
      return reply
        .type(type)
        .send(type === derType ? Buffer.from(der) : toPemChain(authority, der));
    },
  );

  app.post(
    "/v1/certificates/:serial/revoke",
    {
      config: { caller: "certificate", refuses: ["not-found", "conflict"] },
      schema: {
        operationId: "revokeCertificate",
        tags: ["certificates"],
        summary: "Revoke, hold or release a certificate",
        description:
          "For its own holder, or an operator. In force for the next request, also on open connections. Repeating it changes nothing.",
        params: serialParams,
        body: { content: json("RevocationRequest").content },
        response: { 200: { description: "The entry as it stands now.", ...json("Certificate") } },
      },
    },
    async (request, reply) => {
      const { caller } = holderOf(request);
      const { reason = "unspecified" } = (request.body ?? {}) as { reason?: string | number };
      const parsed = parseReason(reason);
      if (parsed === undefined) throw new Problem(unknownReason(reason));
      const stored = unwrap(await authority.revoke(readSerial(request.params), parsed, caller));
      return reply.type("application/json").send(toEntry(authority, stored));
    },
  );
}

function readIdempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key === "string" && /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new Problem({
    code: "malformed-request",
    detail: "Idempotency-Key must be 1 to 255 visible ASCII characters, once.",
  });
}

function unknownReason(reason: string | number) {
  const want = reasonNames.join(", ");
  const message = `${JSON.stringify(reason)} is no revocation reason of RFC 5280; there are: ${want}.`;
  return {
    code: "malformed-request" as const,
    detail: message,
    violations: [{ field: "reason", rule: "reason.known", got: String(reason), want, message }],
  };
}

function chooseIssuedType(request: FastifyRequest, json: boolean): string {
  const first = json ? "application/json" : pemChainType;
  const others = ["application/json", pemChainType, derType].filter((type) => type !== first);
  return unwrap(chooseType(request, [first, ...others]));
}

function json(name: string) {
  return { content: { "application/json": { schema: { $ref: `${name}#` } } } };
}

function issuedAnswer(description: string) {
  return {
    description,
    headers: {
      Location: { schema: { type: "string" }, description: "Where the entry stands." },
      "Countersign-Notice": {
        schema: { type: "string" },
        description: "What of the request was dropped or changed; one header a notice.",
      },
    },
    content: {
      [pemChainType]: { schema: { type: "string" } },
      [derType]: { schema: { type: "string", format: "binary" } },
      "application/json": { schema: { $ref: "IssuedCertificate#" } },
    },
  };
}

/** Raw forms carry bytes that the CSR reader judges; only JSON has a schema to hold it against. */
function csrContent(name: string) {
  const raw = Object.fromEntries(
    rawTypes.map((type) => [type, { schema: {}, example: exampleCsr }]),
  );
  return {
    content: {
      ...raw,
      "application/x-www-form-urlencoded": { schema: {} },
      "application/json": { schema: { $ref: `${name}#` } },
    },
  };
}
