/** The two services of examples/node-service, and an authority whose certificates live seconds. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { type StartOptions, startAuthority, type TestAuthority } from "./authority.ts";
import { freePort } from "./free-port.ts";
import { type Running, startNode } from "./processes.ts";

/** Short lives instead of a mocked clock: everything else is as in production. */
export function shortLives(life: string, renewBefore: string): Required<StartOptions>["config"] {
  return (yaml) => {
    yaml["backdate"] = "0s";
    // So short-lived that revocation means nothing (RFC 9608): no CRL is asked for.
    yaml["noRevAvailUnder"] = "1h";
    yaml["profiles"].peer = {
      extendedKeyUsage: ["clientAuth", "serverAuth"],
      validity: life,
      maxValidity: life,
      renew: { before: renewBefore },
    };
  };
}

export async function startShortLived(
  life: string,
  renewBefore = "1/3",
): Promise<{ authority: TestAuthority; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), "countersign-services-"));
  const authority = await startAuthority({ config: shortLives(life, renewBefore) });
  onTestFinished(async () => {
    await authority.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return { authority, folder };
}

/** Two services, each calling the other without a pause. */
export async function startPair(
  authority: TestAuthority,
  folder: string,
): Promise<readonly [Running, Running]> {
  const ports = [await freePort(), await freePort()] as const;
  const startOne = async (own: 0 | 1) => {
    const token = join(folder, `${own}.token`);
    const terms = { profile: "peer", cn: `service-${own}`, sans: ["dns:localhost"] };
    writeFileSync(token, await authority.mint(terms));
    return startNode("examples/node-service/service.ts", [], {
      IDENTITY: join(folder, `identity-${own}`),
      TOKEN_FILE: token,
      PORT: String(ports[own]),
      PEER: `https://localhost:${ports[own === 0 ? 1 : 0]}/`,
    });
  };
  const pair = [await startOne(0), await startOne(1)] as const;
  for (const one of pair) await until(() => one.report().serial !== undefined, 20, one.text);
  for (const one of pair) one.child.kill("SIGUSR2");
  return pair;
}

/** Waits for a condition; `explain` is asked when it does not come. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  seconds: number,
  explain: () => string = () => "",
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await condition())) {
    if (performance.now() > end) expect.fail(`not within ${seconds} s. ${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
