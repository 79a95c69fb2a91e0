/** Encodes the names of a subjectAltName (RFC 5280 4.2.1.6). */

import ipaddr from "ipaddr.js";
import { implicit, sequence } from "../../der/writer.ts";
import type { GeneralName, GeneralNameKind } from "./general-name.ts";

const tags: Readonly<Record<GeneralNameKind, number>> = { email: 1, dns: 2, uri: 6, ip: 7 };
/** Encodes a GeneralNames SEQUENCE; names are in canonical form already. */
export function encodeGeneralNames(names: readonly GeneralName[]): Uint8Array {
  return sequence(
    ...names.map(({ kind, value }) =>
      implicit(
        tags[kind],
        kind === "ip"
          ? Uint8Array.from(ipaddr.parse(value).toByteArray())
          : Buffer.from(value, "latin1"),
      ),
    ),
  );
}
