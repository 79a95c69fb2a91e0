import type { FastifyInstance } from "fastify";
import type { Authority } from "../../../authority/authority.ts";
import type { Exports } from "../exports.ts";
import { checkRoute } from "./check.ts";
import { findRoute } from "./find.ts";
import { issueRoute } from "./issue.ts";
import { listRoute } from "./list.ts";
import { renewRoute } from "./renew.ts";
import { revokeRoute } from "./revoke.ts";

/** `/v1/certificates`: issue, check, renew, list, show, revoke. */
export function certificateRoutes(
  app: FastifyInstance,
  authority: Authority,
  exports: Exports,
): void {
  issueRoute(app, authority);
  checkRoute(app, authority);
  renewRoute(app, authority);
  listRoute(app, authority, exports);
  findRoute(app, authority);
  revokeRoute(app, authority);
}
