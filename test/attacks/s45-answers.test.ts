/** S-45: headers of every answer on each listener, and plain HTTP on the TLS port. */

import { execFile } from "node:child_process";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callHttps } from "../helpers/authority.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Node, type Nodes, prepareNodes } from "../helpers/nodes.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const metricsPort = await freePort();
const authority = useAuthority({
  config: (yaml) => {
    yaml["listen"].metricsPort = metricsPort;
    yaml["publicUrl"] = `https://ca.example.test:${yaml["listen"].port}`;
  },
});

const fixed = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};
const nothingLoads = "default-src 'none'; frame-ancestors 'none'";
const plainPort = () => authority.service.plainAddress?.port ?? 0;

/** One request over plain HTTP. */
function callHttp(port: number, method: string, path: string) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders }>((resolve, reject) => {
    const request = httpRequest({ port, host: "127.0.0.1", path, method, agent: false });
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
    });
    request.end();
  });
}

describe("the fixed headers stand on every answer", () => {
  test("of each route of the TLS listener, whatever its status", async () => {
    const issuer = authority.service.authority.issuers.active.id;
    const { root, operator, url: origin } = authority;
    const seen = new Set<number>();
    for (const { method, url } of authority.service.app.routeTable) {
      const path = url
        .replace(/:issuer(\([^)]*\))?/, issuer)
        .replace(/:\w+(\([^)]*\))?/g, "delta")
        .replace("*", "none");
      for (const as of [undefined, operator]) {
        const answer = await callHttps(origin + path, method, root, { ...(as && { as }) });
        seen.add(answer.status);
        const { "content-security-policy": policy, "cache-control": cache } = answer.headers;
        expect(answer.headers, `${method} ${path}`).toMatchObject(fixed);
        if (!path.startsWith("/docs")) expect([path, policy]).toEqual([path, nothingLoads]);
        const mayBeKept = answer.status === 200 && /^\/(crl|issuers|docs)/.test(path);
        if (!mayBeKept) expect([path, cache]).toEqual([path, "no-store"]);
      }
    }
    expect([...seen]).toEqual(expect.arrayContaining([200, 400, 401, 404]));
    const list = await authority.call("GET", `/crl/${issuer}.crl`);
    expect(list.headers["cache-control"]).toMatch(/^public, max-age=\d+$/);
    // A browser would apply it to the plain listener of the same host too.
    expect(list.headers["strict-transport-security"]).toBeUndefined();
  });

  test("of the plain and the metrics listener", async () => {
    const issuer = authority.service.authority.issuers.active.id;
    for (const [port, method, path, status] of [
      [plainPort(), "GET", `/crl/${issuer}.crl`, 200],
      [plainPort(), "HEAD", `/crl/${issuer}.crl`, 200],
      [plainPort(), "GET", "/crl/none.crl", 404],
      [plainPort(), "DELETE", `/crl/${issuer}.crl`, 405],
      [plainPort(), "GET", "/ocsp/MEow", 200],
      [plainPort(), "GET", "/issuers/%ff", 404],
      [plainPort(), "GET", "/", 404],
      [plainPort(), "POST", "/v1/certificates", 404],
      [plainPort(), "GET", "/%ff", 400],
      [metricsPort, "GET", "/metrics", 200],
      [metricsPort, "GET", "/none", 404],
      [metricsPort, "GET", "/%ff", 400],
    ] as const) {
      const answer = await callHttp(port, method, path);
      expect([method, path, answer.status]).toEqual([method, path, status]);
      expect(answer.headers, path).toMatchObject({
        ...fixed,
        "content-security-policy": nothingLoads,
      });
      if (status >= 400) expect(answer.headers["content-type"]).toBe("application/problem+json");
    }
  });
});

/** What curl writes on standard output, and its exit code. */
async function curl(...args: string[]): Promise<{ out: string; code: number }> {
  try {
    const { stdout } = await promisify(execFile)("curl", ["-sS", "-m", "10", ...args]);
    return { out: stdout, code: 0 };
  } catch (error) {
    const { stdout, code } = error as { stdout: string; code: number };
    return { out: stdout, code };
  }
}

describe("http:// on the port of https://", () => {
  const withCurl = testWith("curl");

  withCurl("is 400 in plain text, with the address that is right", async () => {
    for (const args of [[], ["-I"], ["-d", "x=1"], ["--http1.0"], ["-X", "DELETE"]]) {
      const { out, code } = await curl("-i", ...args, `http://127.0.0.1:${authority.port}/v1/ca`);
      expect([args, code, out.split("\r\n")[0]]).toEqual([args, 0, "HTTP/1.1 400 Bad Request"]);
      expect(out).toMatch(/^content-type: text\/plain; charset=utf-8\r$/m);
      expect(out).toMatch(/^x-content-type-options: nosniff\r$/m);
      if (!args.includes("-I")) {
        expect(out).toContain(
          `\r\n\r\nThis port speaks HTTPS only. Use https://ca.example.test:${authority.port}\n`,
        );
      }
    }
    expect((await authority.call("GET", "/healthz")).status).toBe(200);
  });

  test("anything else that is not TLS is closed as before, and nothing stays behind", async () => {
    for (const bytes of ["SSH-2.0-x\r\n", "\0\0\0", "\x16\x03\x01\x00\x05abcde"]) {
      const socket = connect(authority.port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      socket.on("error", () => undefined);
      socket.write(bytes);
      socket.end();
      await new Promise((resolve) => socket.once("close", resolve));
      expect(text).not.toContain("HTTP/");
    }
    const gone = Array.from({ length: 20 }, () => {
      const socket = connect(authority.port, "127.0.0.1", () => {
        socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        socket.resetAndDestroy();
      });
      socket.on("error", () => undefined);
      return new Promise((resolve) => socket.once("close", resolve));
    });
    await Promise.all(gone);
    expect((await authority.call("GET", "/healthz")).status).toBe(200);
  });

  describe("with workers", () => {
    let nodes: Nodes;
    let node: Node;
    beforeAll(async () => {
      nodes = await prepareNodes("sqlite:countersign.db");
      node = await nodes.start(["--workers", "2"]);
    });
    afterAll(() => nodes?.remove());

    withCurl("is answered the same", async () => {
      for (let at = 0; at < 8; at++) {
        const { out } = await curl("-i", `http://127.0.0.1:${node.port}/`);
        expect(out).toMatch(/^HTTP\/1\.1 400 /);
        expect(out).toContain("This port speaks HTTPS only. Use https://");
      }
      expect((await node.call("GET", "/healthz")).status).toBe(200);
    });
  });
});
