import type { FastifyInstance } from "fastify";
import type { Static } from "typebox";
import type { Authority } from "../../authority/authority.ts";
import { parseDuration } from "../../config/duration.ts";
import type { Violation } from "../../refusal.ts";
import { type GeneralName, parseGeneralNameText } from "../../x509/name/general-name.ts";
import { attributesOf, parseSubjectText } from "../../x509/name/read.ts";
import { Problem } from "../problem.ts";
import { unreadable, unreadableRefusal, unwrap } from "./bodies.ts";
import { jsonBody, jsonContent } from "./content.ts";
import type { tokenBody } from "./schemas.ts";

/** `POST /v1/tokens`: an operator mints enrolment tokens. */
export function tokenRoutes(app: FastifyInstance, authority: Authority): void {
  app.post(
    "/v1/tokens",
    {
      config: { caller: "operator", refuses: ["policy-violation"] },
      schema: {
        operationId: "mintToken",
        tags: ["tokens"],
        summary: "Mint an enrolment token",
        description:
          "A token is good for one key (or `uses` keys), for one profile, and for no name that it does not list.",
        body: jsonBody("TokenRequest"),
        response: {
          201: {
            description: "The token.",
            ...jsonContent("Token"),
          },
        },
      },
    },
    async (request, reply) => {
      const body = request.body as Static<typeof tokenBody>;
      const violations: Violation[] = [];
      const names = readNames(body.sans ?? [], violations);
      const subject = body.subject === undefined ? undefined : parseSubjectText(body.subject);
      if (subject?.ok === false) {
        violations.push(unreadable("subject", body.subject ?? "", "a subject such as OU=team-a"));
      }
      const ttl = body.ttl === undefined ? undefined : parseDuration(String(body.ttl));
      if (ttl?.ok === false) {
        violations.push(unreadable("ttl", String(body.ttl), "a duration such as 10m, or seconds"));
      }
      if (violations.length > 0) throw new Problem(unreadableRefusal(violations));
      const minted = await authority.mintToken(
        {
          profile: body.profile,
          commonName: body.cn,
          names,
          ...(subject?.ok && { subject: attributesOf(subject.value) }),
          ...(ttl?.ok && { ttlSeconds: ttl.value }),
          ...(body.uses !== undefined && { uses: body.uses }),
          ...(body.csrSha256 !== undefined && { csrSha256: body.csrSha256 }),
        },
        request.caller,
      );
      const { token, id, expiresAt } = unwrap(minted);
      return reply
        .code(201)
        .header("cache-control", "no-store")
        .type("application/json")
        .send({ token, id, expiresAt: expiresAt.toISOString() });
    },
  );
}

function readNames(texts: readonly string[], violations: Violation[]): GeneralName[] {
  const names: GeneralName[] = [];
  for (const [position, text] of texts.entries()) {
    const name = parseGeneralNameText(text);
    if (name.ok) names.push(name.value);
    else
      violations.push(unreadable(`sans.${position}`, text, "a name such as dns:web.example.test"));
  }
  return names;
}
