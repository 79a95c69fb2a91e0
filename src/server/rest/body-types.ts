/**
 * Which bodies a route of REST reads. A route for certificate requests says so in its config and
 * reads raw ones too; every other route reads JSON. An empty body is empty, whatever its type.
 */

import type { FastifyInstance, FastifyRequest } from "fastify";
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

/** Gives a scope its parsers. Every type that is not listed is refused, but for an empty body. */
export function readBodies(scope: FastifyInstance): void {
  // A body with `__proto__` or `constructor.prototype` in it is refused, not cleaned.
  const parseJson = scope.getDefaultJsonParser("error", "error");
  scope.addContentTypeParser(
    "application/json",
    { parseAs: "string" },
    (request, body: string, done) => {
      if (body.length === 0) done(null, {});
      else parseJson(request, body, done);
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
    if (body.length === 0 || (readsCsr(request) && startsAsPem(body))) return bodyOf(request, body);
    return refuse(request);
  });
  scope.addContentTypeParser("*", asBuffer, async (request: FastifyRequest, body: Buffer) => {
    // Without a type it is application/octet-stream (RFC 9110 8.3).
    const untyped = request.headers["content-type"] === undefined && readsCsr(request);
    return body.length > 0 && !untyped ? refuse(request) : bodyOf(request, body);
  });
  // What is no media type names none: an empty header, or any words above an empty body.
  scope.addHook("onRequest", async ({ headers }) => {
    const type = headers["content-type"];
    if (type === undefined || type.includes("/")) return;
    const empty =
      headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0;
    if (type.trim() === "" || empty) delete headers["content-type"];
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

function startsAsPem(body: Buffer): boolean {
  return body.subarray(0, 10).toString("latin1") === "-----BEGIN";
}

function refuse(request: FastifyRequest): never {
  const type = request.headers["content-type"]?.split(";", 1)[0] ?? "none";
  const read = readsCsr(request)
    ? type === formType
      ? `A body of type ${formType} is read only when it starts with -----BEGIN. Send DER as application/pkcs10.`
      : `A certificate request is read as ${rawTypes.join(", ")}, or in JSON as application/json.`
    : "This route reads application/json or an empty body.";
  throw new Problem({
    code: "unsupported-media-type",
    detail: `The Content-Type ${JSON.stringify(type)} is not read here. ${read}`,
  });
}
