/** S-41: what a guard took for good although OpenSSL did not. The whole list stands in the vectors. */

import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { type GuardOptions, revocationGuard } from "../../src/client/revocation/guard.ts";
import type { Holder } from "../helpers/authority.ts";
import { repository } from "../helpers/processes.ts";
import { judgePeer } from "../helpers/tls-peer.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let peer: Holder;
const authority = useAuthority({
  // As an authority of before its root had a list from the start.
  beforeStart: (folder) => rmSync(join(folder, "root.crl")),
});
beforeAll(async () => {
  peer = await authority.enrol({ cn: "peer" });
});

function makeGuard(options: Partial<GuardOptions> = {}) {
  const issuing = readFileSync(join(authority.folder, "issuing.crt"), "utf8");
  return revocationGuard({
    ca: [authority.root, issuing],
    whenUnknown: "deny",
    maxAgeMs: 0,
    ...options,
  });
}

const judge = (guard = makeGuard()) => judgePeer(guard, peer, peer);

async function publishRoot(...more: string[]): Promise<string> {
  const args = ["src/cli/main.ts", "crl", "publish", "--data", authority.folder, "--root", ...more];
  return (await promisify(execFile)(process.execPath, args, { cwd: repository })).stdout;
}

describe("a revoked issuing CA", () => {
  test("is asked about: without a list of the root nobody can tell", async () => {
    const verdict = await judge();
    expect(verdict).toMatchObject({ allowed: false, rule: "unknown" });
    expect(verdict.message).toMatch(/Whether CA certificate .*, 1 above .*, is revoked cannot be/);
    const whenUnknown = { peer: "deny", issuers: "allow" } as const;
    expect(await judge(makeGuard({ whenUnknown }))).toMatchObject({ allowed: true });
  });

  test("denies its peers once `crl publish --root --revoke` has said so", async () => {
    expect(await publishRoot()).toContain("0 revoked");
    const running = makeGuard();
    expect(await judge(running)).toMatchObject({ allowed: true, rule: "good" });
    const { serial } = authority.service.authority.issuers.active.certificate;
    expect(await publishRoot("--revoke", serial)).toContain("1 revoked");
    for (const guard of [running, makeGuard({ whenUnknown: "allow" })]) {
      const verdict = await judge(guard);
      expect(verdict).toMatchObject({ allowed: false, rule: "revoked" });
      expect(verdict.message).toContain(`CA certificate ${serial}`);
      expect(verdict.message).toContain("(cACompromise)");
    }
  });
});
