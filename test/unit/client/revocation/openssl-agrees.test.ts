/**
 * The guard and `openssl verify` judge the same certificates and lists, on real TLS connections that
 * nobody else looks at (`rejectUnauthorized: false`). Prints a table of what each said.
 */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { revocationGuard, type Verdict } from "../../../../src/client/revocation/guard.ts";
import type { Purpose } from "../../../../src/client/revocation/path-rules.ts";
import { encodePem } from "../../../../src/der/pem.ts";
import { listenLocally } from "../../../helpers/loopback.ts";
import { judgePeer } from "../../../helpers/tls-peer.ts";
import { type Base, type Case, type Given, makeBase } from "../../../vectors/revocation/case.ts";
import { crlCases } from "../../../vectors/revocation/crl-cases.ts";
import { Maker } from "../../../vectors/revocation/make.ts";
import { pathCases } from "../../../vectors/revocation/path-cases.ts";
import { pointCases } from "../../../vectors/revocation/point-cases.ts";

let maker: Maker;
let base: Base;
let origin: string;
let published: readonly Uint8Array[] = [];
const publisher = createHttpServer((request, response) => {
  response.end(published[Number(request.url?.slice(1))]);
});
const rows: string[] = [];

beforeAll(async () => {
  maker = new Maker();
  base = makeBase(maker);
  origin = `http://127.0.0.1:${await listenLocally(publisher)}`;
});
afterAll(() => {
  publisher.close();
  maker.remove();
  console.log(rows.join("\n"));
});

describe.each([
  ["lists", crlCases],
  ["scopes of lists", pointCases],
  ["paths", pathCases],
])("%s", (_, cases) => {
  test.each(cases.map((one) => [`${one.id}: ${one.title}`, one] as const))("%s", async (_, one) => {
    const given = one.make(maker, base);
    // Where lists are not the question, both judges get those that revoke nothing.
    const cas = one.expected === "accepted" ? [...given.roots, ...given.issuers] : [];
    const lists = given.lists ?? cas.map((ca) => maker.list(ca));
    const openssl = opensslVerdict(one, { ...given, lists });
    const guard = await guardVerdict(one.purpose ?? "sslclient", { ...given, lists });
    rows.push(
      [
        one.id.padEnd(18),
        one.expected.padEnd(9),
        openssl.padEnd(62),
        guard.rule.padEnd(8),
        one.title,
      ].join(" "),
    );
    expect(openssl.startsWith("OK") ? "accepted" : "refused", openssl).toBe(one.expected);
    expect(guard.allowed ? "accepted" : "refused", guard.message).toBe(one.expected);
  });
});

type Whole = Required<Given>;

function opensslVerdict(one: Case, { leaf, issuers, roots, lists: given }: Whole): string {
  const files = {
    "roots.pem": maker.pem(...roots),
    "issuers.pem": maker.pem(...issuers),
    "lists.pem": given.map((list) => encodePem("X509 CRL", list)).join(""),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(maker.path(name), text);
  const { stdout, stderr } = spawnSync(
    "openssl",
    [
      ...["verify", "-purpose", one.purpose ?? "sslclient", "-no-CApath", "-no-CAstore"],
      ...["-CAfile", "roots.pem"],
      ...(issuers.length > 0 ? ["-untrusted", "issuers.pem"] : []),
      ...(given.length === 0 ? [] : ["-crl_check_all", "-CRLfile", "lists.pem"]),
      ...(one.flags ?? []),
      `${leaf.name}.pem`,
    ],
    { cwd: maker.folder, encoding: "utf8" },
  );
  if (stdout.endsWith(": OK\n")) return "OK";
  return /error (\d+ at \d+ depth lookup: .*)/.exec(stderr)?.[1] ?? stderr.trim();
}

/** What the guard says of a peer that presents the leaf over TLS, as client or as server. */
async function guardVerdict(
  purpose: Purpose,
  { leaf, issuers, roots, lists: given }: Whole,
): Promise<Verdict> {
  published = given;
  const guard = revocationGuard({
    ca: maker.pem(...roots, ...issuers),
    whenUnknown: given.length === 0 ? "allow" : "deny",
    purpose,
    ocsp: false,
    crl: given.map((_, index) => `${origin}/${index}`),
  });
  return judgePeer(guard, maker.holder(leaf), maker.holder(base.issuing), purpose);
}
