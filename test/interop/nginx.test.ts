import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Agent, get } from "node:https";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { autoRenew } from "../../src/client/index.ts";
import { freePort } from "../helpers/free-port.ts";
import { startShortLived, until } from "../helpers/node-services.ts";
import {
  isThere,
  repository,
  runCountersign,
  start,
  startCountersign,
} from "../helpers/processes.ts";

/** Seconds; a minute in the long run. */
const LIFE = process.env["COUNTERSIGN_TEST_LONG"] === "1" ? 60 : 10;

test.skipIf(!isThere("nginx"))(
  "nginx passes through five renewals of its certificate and its caller's without one failed request",
  { timeout: LIFE * 8000 },
  async () => {
    const { authority, folder } = await startShortLived(`${LIFE}s`);
    const [front, back] = [await freePort(), await freePort()];
    const backend = createServer((request, response) =>
      response.end(String(request.headers["x-client-subject"])),
    ).listen(back, "127.0.0.1");
    onTestFinished(() => void backend.close());

    // The example as it is, on ports that are free here.
    const example = readFileSync(join(repository, "examples/nginx/nginx.conf"), "utf8");
    const conf = join(folder, "nginx.conf");
    writeFileSync(conf, example.replace("8444", String(front)).replace("9000", String(back)));
    mkdirSync(join(folder, "logs"), { recursive: true });
    const terms = { profile: "peer", sans: ["dns:localhost"] };
    const dir = join(folder, "identity");
    const token = await authority.mint({ ...terms, cn: "nginx" });
    const enrolled = await runCountersign(["enroll", "--out", dir, "--token", token]);
    expect(enrolled).toMatchObject({ code: 0 });

    const path = { PATH: `${process.env["PATH"]}:/usr/sbin` };
    const nginx = start("nginx", ["-p", folder, "-c", conf, "-g", "daemon off;"], path);
    const daemon = startCountersign(
      ["renew", "--daemon", "--dir", dir, "--exec", `nginx -p ${folder} -c ${conf} -s reload`],
      path,
    );
    const identity = await autoRenew({
      dir: join(folder, "caller"),
      token: await authority.mint({ ...terms, cn: "caller" }),
    });
    onTestFinished(() => identity.close());

    // A connection for each request: the handshake is what is under test.
    const agent = new Agent({ ...identity.tls, keepAlive: false });
    const seen = new Set<string>();
    const failed: string[] = [];
    let answered = 0;
    const call = () =>
      new Promise<void>((resolve) => {
        get({ host: "localhost", port: front, agent }, (response) => {
          seen.add((response.socket as TLSSocket).getPeerX509Certificate()?.serialNumber ?? "");
          let text = "";
          response.on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () => {
            if (text.includes("CN=caller")) answered += 1;
            else failed.push(`HTTP ${response.statusCode} ${text}`);
            resolve();
          });
        }).on("error", (error) => {
          failed.push(error.message);
          resolve();
        });
      });
    await until(
      async () => {
        await call();
        const up = answered > 0;
        failed.length = 0;
        return up;
      },
      10,
      nginx.text,
    );
    const explain = () => `${nginx.text()}\n${daemon.text()}`.slice(-1500);
    await until(
      async () => {
        await call();
        return seen.size > 5 && identity.status().renewals >= 5;
      },
      LIFE * 7,
      explain,
    );
    expect(failed).toEqual([]);
    expect(answered).toBeGreaterThan(LIFE * 3);
    const status = JSON.parse(readFileSync(join(dir, "status.json"), "utf8"));
    expect(status).toMatchObject({ failuresInARow: 0, hookFailures: 0 });
  },
);
