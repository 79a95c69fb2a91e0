import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { send } from "../../../src/client/http.ts";
import { autoRenew } from "../../../src/client/index.ts";
import { readProblem } from "../../../src/client/problem.ts";
import { keepRenewed } from "../../../src/client/renewal/loop.ts";
import { identityFolder } from "../../helpers/identity-folder.ts";
import { newEcKey } from "../../helpers/openssl-ca.ts";

const encode = (claims: object) => Buffer.from(JSON.stringify(claims)).toString("base64url");
/** Of no authority: enough for a client that cannot verify it. */
const token = `${encode({ alg: "ES256" })}.${encode({ sub: "web", sha: "0".repeat(64), profile: "peer" })}.c2ln`;

async function listening(server: Server): Promise<string> {
  server.listen(0);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

/** Takes every connection, and never says a word. */
function startSilent(): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
  });
  return listening(server);
}

function selfSigned(): { key: string; cert: string } {
  const dir = identityFolder();
  const key = join(dir, "stranger.key");
  const out = join(dir, "stranger.pem");
  mkdirSync(dir, { recursive: true });
  const curve = [...newEcKey, "-days", "1"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const files = ["-keyout", key, "-out", out];
  execFileSync("openssl", ["req", "-x509", ...curve, ...names, ...files], { stdio: "ignore" });
  return { key: readFileSync(key, "utf8"), cert: readFileSync(out, "utf8") };
}

describe("towards a network that is not well", () => {
  test("a token goes to no stranger, even where the environment switches verification off", async () => {
    const heard: unknown[] = [];
    const stranger = createHttpsServer(selfSigned(), (request, response) => {
      heard.push(request.headers.authorization);
      response.end();
    });
    const url = new URL(await listening(stranger));
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    onTestFinished(() => {
      if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
    });
    const headers = { authorization: `Bearer ${token}` };
    const sent = send({ method: "POST", url, root: selfSigned().cert, headers });
    await expect(sent).rejects.toMatchObject({ code: "untrusted" });
    expect(heard).toEqual([]);
  });

  test("a first start gives up in its time although the authority never answers", async () => {
    const url = await startSilent();
    const began = performance.now();
    const start = autoRenew({ url, dir: identityFolder(), token, firstStartTimeoutMs: 700 });
    await expect(start).rejects.toMatchObject({ code: "unreachable" });
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test("the renewals stop at once although the authority never answers", async () => {
    const url = await startSilent();
    const stop = new AbortController();
    const silent = { onChange() {}, onPlan() {}, onFailure() {} };
    const options = { url, dir: identityFolder(), token, holdsProcess: false, ...silent };
    const loop = keepRenewed({ ...options, signal: stop.signal }, undefined);
    setTimeout(() => stop.abort(), 300);
    const began = performance.now();
    await loop;
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test("a Retry-After beyond a day counts as a day, so that no renewal waits for ever", () => {
    const waiting = (value: string) =>
      readProblem({ status: 503, headers: { "retry-after": value }, text: "" }).retryAfterSeconds;
    expect(waiting("120")).toBe(120);
    expect(waiting("99999999999999")).toBe(86_400);
    expect(waiting("soon")).toBeUndefined();
  });
});
