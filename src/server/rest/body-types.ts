/**
 * Which bodies a route of REST reads. A route for certificate requests says so in its config and
 * reads raw ones too; every other route reads JSON. An empty body is empty, whatever its type.
 */

import type { FastifyInstance, FastifyRequest } from "fastify";
import { holdsPem } from "../../x509/csr/read.ts";
import { requireNoCoding } from "../content-coding.ts";
import { Problem } from "../problem.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Whether the body may be a certificate request as it is: PEM or DER. */
    readsCsr?: boolean;
  }
}

/** Media types under which a raw request (PEM or DER) is read. */
export const rawTypes = [
  "application/pkcs10",
  "application/x-pem-file",
  "text/plain",
  "application/octet-stream",
] as const;
const formType = "application/x-www-form-urlencoded";

/** `type/subtype`, with whatever parameters (RFC 9110 8.3.1). */
const mediaType = /^\s*[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(;.*)?$/;
/** Stands for what is no media type; no parser has it, so that the one for all others judges. */
const unreadableType = "application/x-unreadable";

/** Gives a scope its parsers. Every type that is not listed is refused, but for an empty body. */
export function readBodies(scope: FastifyInstance): void {
  // A body with `__proto__` or `constructor.prototype` in it is refused, not cleaned.
  const parseJson = scope.getDefaultJsonParser("error", "error");
  scope.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    (request, body: Buffer, done) => {
      if (body.length === 0) done(null, {});
      else if (isUtf16(body)) done(new Problem(utf16Json));
      else parseJson(request, body.toString(), done);
    },
  );
  const asBuffer = { parseAs: "buffer" as const };
  scope.addContentTypeParser(
    [...rawTypes],
    asBuffer,
    async (request: FastifyRequest, body: Buffer) =>
      body.length > 0 && !readsCsr(request) ? refuse(request) : bodyOf(request, body),
  );
  scope.addContentTypeParser(formType, asBuffer, async (request: FastifyRequest, body: Buffer) => {
    if (body.length === 0 || (readsCsr(request) && holdsPem(body))) return bodyOf(request, body);
    return refuse(request);
  });
  scope.addContentTypeParser("*", asBuffer, async (request: FastifyRequest, body: Buffer) => {
    // Without a type it is application/octet-stream (RFC 9110 8.3).
    const untyped = request.headers["content-type"] === undefined && readsCsr(request);
    return body.length > 0 && !untyped ? refuse(request) : bodyOf(request, body);
  });
  scope.addHook("onRequest", async ({ headers }) => requireNoCoding(headers));
  // An empty type counts as no type. What is no media type is judged when it is known whether a body is there.
  scope.addHook("onRequest", async ({ headers }) => {
    const type = headers["content-type"];
    if (type === undefined || mediaType.test(type)) return;
    if (type.trim() === "") delete headers["content-type"];
    else headers["content-type"] = unreadableType;
  });
  // A request without a body meets no parser.
  scope.addHook("preValidation", async (request) => {
    const { body: described } = (request.routeOptions.schema ?? {}) as { body?: unknown };
    if (described !== undefined && (request.body === undefined || request.body === null)) {
      request.body = bodyOf(request, Buffer.alloc(0));
    }
  });
}

function readsCsr(request: FastifyRequest): boolean {
  return request.routeOptions.config.readsCsr === true;
}

/** Nothing, in the form that the route reads: no bytes, or an object without fields. */
function bodyOf(request: FastifyRequest, body: Buffer): Buffer | object {
  return readsCsr(request) ? body : {};
}

const utf16Json = {
  code: "malformed-request",
  detail:
    "The body is UTF-16; JSON is UTF-8 (RFC 8259 8.1). In PowerShell write it with `-Encoding utf8`.",
} as const;

/** By its mark, or by the NUL beside the first brace. */
function isUtf16([first, second]: Buffer): boolean {
  return [0xfffe, 0xfeff, 0x7b00, 0x007b].includes((first ?? 0) * 256 + (second ?? 1));
}

/** The Content-Type as it was sent. */
function givenType({ headers, raw: { rawHeaders } }: FastifyRequest): string | undefined {
  const at = rawHeaders.findIndex((one, n) => n % 2 === 0 && /^content-type$/i.test(one));
  return headers["content-type"] === unreadableType ? rawHeaders[at + 1] : headers["content-type"];
}

function refuse(request: FastifyRequest): never {
  const type = givenType(request)?.split(";", 1)[0] ?? "none";
  const read = readsCsr(request)
    ? type === formType
      ? `A body of type ${formType} is read only when it holds a PEM (-----BEGIN CERTIFICATE REQUEST-----). Send DER or bare base64 as application/pkcs10.`
      : `A certificate request is read as ${rawTypes.join(", ")}, or in JSON as application/json.`
    : "This route reads application/json or an empty body.";
  throw new Problem({
    code: "unsupported-media-type",
    detail: `The Content-Type ${JSON.stringify(type)} is not read here. ${read}`,
  });
}
