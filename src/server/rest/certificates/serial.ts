import type { Static } from "typebox";
import { parseSerial } from "../../../x509/serial.ts";
import { Problem } from "../../problem.ts";
import { unreadable, unreadableRefusal } from "../bodies.ts";
import type { serialParams } from "../schemas.ts";

/** The serial in a route's path as the index writes it; a Problem for what cannot be a serial. */
export function readSerial(params: unknown): string {
  const { serial: text } = params as Static<typeof serialParams>;
  const serial = parseSerial(text);
  if (serial !== undefined) return serial;
  const want = "a serial number in hex, at most 20 octets (RFC 5280 4.1.2.2)";
  throw new Problem(unreadableRefusal([unreadable("serial", text, want)]));
}
