/** Where a new authority will be reached. What is in force at its creation is what is recorded. */

import { variableOf } from "../config/load/overrides.ts";
import type { InitialiseOptions, Overrides } from "./founding.ts";

export interface FirstAddresses {
  readonly host: string;
  readonly port: number;
  readonly httpPort: number | false;
  readonly publicUrl: string;
  readonly publicHttpUrl: string;
}

/**
 * The addresses that the first configuration records: those of the options, over them the
 * environment, over that flags. A public address that nobody names follows host and port.
 */
export function firstAddresses(
  options: Pick<InitialiseOptions, "hosts" | "port" | "httpPort" | "overrides">,
): FirstAddresses {
  const set = (key: string) => overrideOf(options.overrides, key);
  const port = portOf(set("listen.port")) ?? options.port;
  const off = ["false", "off"].includes(set("listen.httpPort") ?? "");
  const httpPort = off ? false : (portOf(set("listen.httpPort")) ?? options.httpPort);
  const name = options.hosts.find((one) => one.kind === "dns")?.value ?? "localhost";
  return {
    host: set("listen.host") ?? "0.0.0.0",
    port,
    httpPort,
    publicUrl: set("publicUrl") ?? `https://${name}:${port}`,
    publicHttpUrl: set("publicHttpUrl") ?? `http://${name}:${httpPort || options.httpPort}`,
  };
}

function overrideOf(overrides: Overrides | undefined, key: string): string | undefined {
  return overrides?.flags[key] ?? overrides?.env[variableOf(key.split("."))];
}

/** What is no port is left for the configuration to refuse. */
function portOf(text: string | undefined): number | undefined {
  const port = Number(text);
  return text !== undefined && Number.isInteger(port) && port > 0 && port < 65_536
    ? port
    : undefined;
}
