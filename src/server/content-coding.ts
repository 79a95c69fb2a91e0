import type { IncomingHttpHeaders } from "node:http";
import { Problem } from "./problem.ts";

/** Throws a Problem for a body that is compressed: no route decompresses (RFC 9110 8.4). */
export function requireNoCoding(headers: IncomingHttpHeaders): void {
  const coding = headers["content-encoding"];
  if (coding === undefined || /^\s*(identity)?\s*$/i.test(coding)) return;
  throw new Problem({
    code: "unsupported-content-coding",
    detail: `The Content-Encoding ${JSON.stringify(coding)} is not read here. Send the body uncompressed, without Content-Encoding.`,
  });
}
