/** Serves a data folder that is there already, in this process, on free ports of loopback. */

import { createPrivateKey } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { parse, stringify } from "yaml";
import { ownHosts } from "../../src/config/own-hosts.ts";
import { startService } from "../../src/server/service.ts";
import { type CallOptions, callHttps, type Holder } from "./authority.ts";
import { compiledConfig } from "./config.ts";
import { freePort } from "./free-port.ts";

export interface ServedFolder {
  readonly url: string;
  readonly port: number;
  readonly operator: Holder;
  readonly root: string;
  call(method: string, path: string, options?: CallOptions): ReturnType<typeof callHttps>;
  stop(): Promise<void>;
}

export async function serveFolder(folder: string, passphrase?: string): Promise<ServedFolder> {
  const [port, httpPort] = [await freePort(), await freePort()];
  const file = join(folder, "countersign.yaml");
  const yaml = parse(readFileSync(file, "utf8"));
  Object.assign(yaml, {
    publicUrl: `https://localhost:${port}`,
    publicHttpUrl: `http://localhost:${httpPort}`,
    listen: { host: "127.0.0.1", port, httpPort },
  });
  writeFileSync(file, stringify(yaml));
  const service = await startService({
    config: compiledConfig(folder),
    hosts: ownHosts([]),
    log: pino({ level: "silent" }),
  });
  const url = `https://localhost:${port}`;
  const text = (name: string) => readFileSync(join(folder, name), "utf8");
  const root = text("root.crt");
  return {
    url,
    port,
    root,
    operator: { cert: text("operator.crt"), key: plainKey(text("operator.key"), passphrase) },
    call: (method, path, options) => callHttps(`${url}${path}`, method, root, options),
    stop: () => service.stop(),
  };
}

function plainKey(pem: string, passphrase: string | undefined): string {
  if (passphrase === undefined) return pem;
  return createPrivateKey({ key: pem, passphrase })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
}
