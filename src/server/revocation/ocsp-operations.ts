/** OCSP over HTTP, by POST and by GET (RFC 6960 A.1, RFC 5019). */

import type { OcspResponder } from "../../authority/ocsp/responder.ts";
import { bufferOf } from "./crl-bodies.ts";
import {
  answerOcsp,
  LARGEST_OCSP_REQUEST,
  ocspHeaders,
  ocspRequestType,
  ocspResponseType,
} from "./ocsp-answer.ts";
import type { Answer, Operation } from "./operation.ts";

const response = {
  200: {
    description: "The answer, signed; errors of RFC 6960 are answers too.",
    content: { [ocspResponseType]: { schema: { type: "string", format: "binary" } } },
  },
};

export function ocspOperations(responder: OcspResponder): readonly Operation[] {
  return [
    {
      method: "POST",
      url: "/ocsp",
      slashed: true,
      caller: "ocsp",
      schema: {
        operationId: "ocspPost",
        tags: ["revocation"],
        summary: "OCSP by POST (RFC 6960 A.1), with or without a slash at the end",
        body: { content: { [ocspRequestType]: { schema: {} } } },
        response,
      },
      reads: { type: ocspRequestType, limit: LARGEST_OCSP_REQUEST },
      answer: ({ body }) => answer(responder, body),
    },
    {
      method: "GET",
      url: "/ocsp/*",
      caller: "ocsp",
      schema: {
        operationId: "ocspGet",
        tags: ["revocation"],
        summary: "OCSP by GET: the request in base64, URL-encoded (RFC 6960 A.1, RFC 5019)",
        params: {
          type: "object",
          properties: { request: { type: "string", description: "Base64 of the request." } },
        },
        response,
      },
      answer: ({ params }) => answer(responder, Buffer.from(params["rest"] ?? "", "base64")),
    },
  ];
}

/** An answer that was given before costs no wait: most are. */
function answer(responder: OcspResponder, request: Uint8Array): Answer | Promise<Answer> {
  const kept = responder.keptAnswer(request);
  return kept === undefined ? answerOcsp(responder, request).then(toAnswer) : toAnswer(kept);
}

function toAnswer(given: Awaited<ReturnType<typeof answerOcsp>>): Answer {
  return { status: 200, headers: ocspHeaders(given), body: bufferOf(given.der) };
}
