/**
 * What it costs to prove the caller on every request, by looking up the stored certificate. It
 * stands beside the TLS handshake with a client certificate, which happens once a connection.
 * Client and server share this process in both figures of the handshake.
 */

import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { startAuthority } from "../test/helpers/authority.ts";
import { measure, printJson, printTable } from "./figures.ts";

const authority = await startAuthority();
const holder = await authority.enrol();
for (let i = 0; i < 500; i++) await authority.enrol({ cn: `other-${i}` }).catch(() => undefined);
const leaf = new X509Certificate(holder.cert);
const serial = leaf.serialNumber.toLowerCase();
const sha256 = leaf.fingerprint256.replaceAll(":", "").toLowerCase();
const ca = authority.root;

const check = await measure("check", async () => {
  const stored = await authority.service.authority.findPeer(serial, sha256);
  if (stored === undefined || stored.notAfter < new Date()) throw new Error("not found");
});
const handshake = await measure(
  "handshake",
  () =>
    new Promise<void>((resolve, reject) => {
      const { port } = authority;
      const socket = connect({ host: "localhost", port, ca, cert: holder.cert, key: holder.key });
      socket.on("secureConnect", () => socket.end());
      socket.on("close", () => resolve());
      socket.on("error", reject);
      socket.resume();
    }),
  { rounds: 3 },
);
await authority.stop();

const share = check.cpuMicros / handshake.cpuMicros;
printTable([
  { what: "proof of the caller, each request", "CPU µs": check.cpuMicros },
  { what: "mutual TLS handshake, each connection", "CPU µs": handshake.cpuMicros },
]);
printJson({ bench: "caller", check, handshake, checkPerHandshake: share });
