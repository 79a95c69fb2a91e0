/** The first start: addresses follow the ports, a taken port is told before anything is made. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { compiledConfig } from "../helpers/config.ts";
import { freePort } from "../helpers/free-port.ts";
import { until } from "../helpers/node-services.ts";
import { runCountersign, startCountersign } from "../helpers/processes.ts";

const home = mkdtempSync(join(tmpdir(), "countersign-first-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function hold(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "0.0.0.0", resolve));
  return server;
}

describe("a first start with ports of its own", () => {
  test.each(["environment", "flags"])(
    "by %s prints, records and certifies those ports, also when it starts without them again",
    { timeout: 60_000 },
    async (how) => {
      const data = join(home, how);
      const [port, httpPort] = [await freePort(), await freePort()];
      const env = {
        COUNTERSIGN_LISTEN_PORT: String(port),
        COUNTERSIGN_LISTEN_HTTP_PORT: String(httpPort),
      };
      const set = ["--set", `listen.port=${port}`, "--set", `listen.httpPort=${httpPort}`];
      const first = startCountersign(
        ["serve", "--data", data, ...(how === "flags" ? set : [])],
        how === "flags" ? {} : env,
      );
      await until(() => first.text().includes("openssl verify"), 30, first.text);
      expect(first.text()).toContain(`Serving https://localhost:${port} `);
      expect(first.text()).toContain(`"https://localhost:${port}/v1/certificates"`);
      expect(first.text()).not.toMatch(/8443|8080/);
      await first.stop();
      expect(first.text()).toContain("Stopped");
      const file = parse(readFileSync(join(data, "countersign.yaml"), "utf8"));
      expect(file).toMatchObject({
        publicUrl: `https://localhost:${port}`,
        publicHttpUrl: `http://localhost:${httpPort}`,
        listen: { port, httpPort },
      });
      const operator = execFileSync(
        "openssl",
        ["x509", "-noout", "-text", "-in", join(data, "operator.crt")],
        { encoding: "utf8" },
      );
      expect(operator).toContain(`http://localhost:${httpPort}/crl/`);
      expect(operator).toContain(`http://localhost:${httpPort}/ocsp`);

      const again = startCountersign(["serve", "--data", data]);
      await until(() => again.text().includes("openssl verify"), 30, again.text);
      expect(again.text()).toContain(`Serving https://localhost:${port} `);
      await again.stop();
    },
  );

  test("and a public address of its own records that address", { timeout: 60_000 }, async () => {
    const data = join(home, "public");
    const [port, httpPort] = [await freePort(), await freePort()];
    const started = startCountersign(["serve", "--data", data], {
      COUNTERSIGN_LISTEN_PORT: String(port),
      COUNTERSIGN_LISTEN_HTTP_PORT: String(httpPort),
      COUNTERSIGN_PUBLIC_URL: "https://ca.internal",
      COUNTERSIGN_PUBLIC_HTTP_URL: "http://ca.internal",
    });
    await until(() => started.text().includes("openssl verify"), 30, started.text);
    await started.stop();
    const config = compiledConfig(data);
    expect(config.publicUrl.origin).toBe("https://ca.internal");
    expect(config.publicHttpUrl?.origin).toBe("http://ca.internal");
  });
});

describe("a port that is taken", () => {
  test("is told with its key before anything is made, each of them at once", async () => {
    const data = join(home, "taken");
    const [port, httpPort] = [await freePort(), await freePort()];
    const holders = [await hold(port), await hold(httpPort)];
    const env = {
      COUNTERSIGN_LISTEN_PORT: String(port),
      COUNTERSIGN_LISTEN_HTTP_PORT: String(httpPort),
    };
    const { code, out, err } = await runCountersign(["serve", "--data", data], env);
    for (const holder of holders) holder.close();
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(err).toContain(`0.0.0.0:${port} is taken by another process (EADDRINUSE) (listen.port)`);
    expect(err).toContain(`0.0.0.0:${httpPort} is taken`);
    expect(err).toContain("COUNTERSIGN_LISTEN_HTTP_PORT=");
    expect(existsSync(data)).toBe(false);
  });
});
