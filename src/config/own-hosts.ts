/** The names of the machine that a service runs on. */

import { hostname } from "node:os";
import type { GeneralName } from "../x509/name/general-name.ts";

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** Loopback and the host name, under which a machine is reached without being told; then `more`. */
export function ownHosts(more: readonly GeneralName[]): GeneralName[] {
  const own: GeneralName[] = [
    { kind: "dns", value: "localhost" },
    { kind: "ip", value: "127.0.0.1" },
    { kind: "ip", value: "::1" },
  ];
  const host = hostname().toLowerCase();
  if (HOST_NAME.test(host)) own.push({ kind: "dns", value: host });
  const seen = new Set(own.map((one) => `${one.kind}:${one.value}`));
  return [...own, ...more.filter((one) => !seen.has(`${one.kind}:${one.value}`))];
}
