/**
 * One of two services that talk mutual TLS to each other. Each renews its own certificate while it
 * serves and calls; neither is ever restarted for it.
 *
 *     IDENTITY=/var/lib/shop/identity TOKEN_FILE=/run/shop/token PORT=9001 \
 *       PEER=https://localhost:9002 node examples/node-service/service.ts
 */

import { createServer, get } from "node:https";
import { autoRenew, revocationGuard } from "countersign/client";

const { IDENTITY = "identity", TOKEN_FILE = "token", PORT = "9001", PEER } = process.env;

const identity = await autoRenew({ dir: IDENTITY, token: { file: TOKEN_FILE } });
identity.on("failed", (error) => console.error(`renewal: ${error.message}`));

// Who calls is judged on every request: a certificate can end while its connection lives on.
// The CA above may have no list: `countersign crl publish --root` makes one, then deny for both.
const whenUnknown = { peer: "deny", issuers: "allow" } as const;
const guard = revocationGuard({ ca: () => identity.trust, whenUnknown });

const server = createServer(
  { ...identity.tls, requestCert: true, rejectUnauthorized: true },
  async (request, response) => {
    const verdict = await guard.judge(request);
    response.statusCode = verdict.allowed ? 200 : 403;
    response.end(verdict.allowed ? "hello" : verdict.message);
  },
);
identity.attach(server);
server.listen(Number(PORT), "localhost");

const agent = identity.agent();
const calls = { answered: 0, failed: [] as string[] };

/** Calls the peer over the connection that the agent keeps. */
function call(url: string): Promise<void> {
  return new Promise((resolve) => {
    const done = (failure?: string) => {
      if (failure === undefined) calls.answered += 1;
      else calls.failed.push(failure);
      resolve();
    };
    get(url, { agent }, (response) => {
      response.resume();
      response.on("end", () =>
        done(response.statusCode === 200 ? undefined : `HTTP ${response.statusCode}`),
      );
    }).on("error", (error) => done(error.message));
  });
}

/** Starts when told to (SIGUSR2), since the peer may start later, and never pauses. */
async function callForEver(url: string): Promise<void> {
  for (;;) {
    await call(url);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

process.on("SIGUSR2", () => PEER !== undefined && void callForEver(PEER));
setInterval(() => {
  const { serial, notAfter, renewals, failures } = identity.status();
  console.log(JSON.stringify({ serial, notAfter, renewals, failures, ...calls }));
}, 250);
