/** An authority that runs from an installed package, as somebody who has only npm starts it. */

import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";

export interface Served {
  readonly port: number;
  stop(): Promise<void>;
}

/** Creates an authority in `data` of a folder and serves it. Rejects when it does not serve. */
export async function serveInstalled(folder: string, env: NodeJS.ProcessEnv): Promise<Served> {
  const program = join(folder, "node_modules/.bin/countersign");
  const [port, httpPort] = [await freePort(), await freePort()];
  const init = ["init", "--port", String(port), "--http-port", String(httpPort)];
  await promisify(execFile)(program, init, { cwd: folder, env });
  const child = spawn(program, ["serve"], {
    cwd: folder,
    env: { ...env, COUNTERSIGN_LISTEN_HOST: "127.0.0.1" },
  });
  let said = "";
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const collect = (chunk: Buffer) => {
      said += chunk;
      if (said.includes("Serving https://")) resolve();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    void ended.then(() => reject(new Error(`it does not serve:\n${said}`)));
  });
  return {
    port,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
