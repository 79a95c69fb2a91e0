/** A port that another process holds is told before anything is made. */

import { createServer } from "node:net";
import { CommandFailure } from "../../failure.ts";

/** A listener, and the keys of the configuration that say where it is. */
export interface WantedListener {
  readonly key: "listen.port" | "listen.httpPort";
  readonly host: string;
  readonly port: number;
}

/** Opens and closes each. Throws CommandFailure that names every port which cannot be had. */
export async function requireFreePorts(listeners: readonly WantedListener[]): Promise<void> {
  const problems: string[] = [];
  for (const listener of listeners) {
    const problem = await tryListener(listener);
    if (problem !== undefined) problems.push(problem);
  }
  if (problems.length > 0) throw new CommandFailure(`${problems.join("\n")} Nothing was made.`);
}

function tryListener({ key, host, port }: WantedListener): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      resolve(`${host}:${port} ${reasonOf(error, host)} (${key}). ${cureOf(key)}`);
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function reasonOf({ code }: NodeJS.ErrnoException, host: string): string {
  switch (code) {
    case "EADDRINUSE":
      return `is taken by another process (${code})`;
    case "EACCES":
      return `needs a right that this user does not have (${code})`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `cannot be listened on: ${host} is no address of this machine (${code})`;
    default:
      return `cannot be listened on (${code})`;
  }
}

function cureOf(key: WantedListener["key"]): string {
  const variable =
    key === "listen.port" ? "COUNTERSIGN_LISTEN_PORT" : "COUNTERSIGN_LISTEN_HTTP_PORT";
  return `End that process, or choose another port: --set ${key}=9443, or ${variable}=9443.`;
}
