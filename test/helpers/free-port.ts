import { createServer } from "node:net";

/** Below those that systems give to outgoing connections, which may take one between two lines here. */
const FIRST = 10_000;
const COUNT = 20_000;
let last = Math.floor(Math.random() * COUNT);

/** A port of loopback that nobody listens on, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (;;) {
    last = (last + 1) % COUNT;
    const port = FIRST + last;
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer().on("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
