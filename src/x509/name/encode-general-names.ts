/** Encodes the names of a subjectAltName (RFC 5280 4.2.1.6). */

import ipaddr from "ipaddr.js";
import { oids } from "../../der/oid.ts";
import { explicit, implicit, oid, sequence, utf8String } from "../../der/writer.ts";
import type { GeneralName } from "./general-name.ts";

const tags = { email: 1, dns: 2, uri: 6, ip: 7 } as const;

/** Encodes a GeneralNames SEQUENCE; names are in canonical form already. */
export function encodeGeneralNames(names: readonly GeneralName[]): Uint8Array {
  return sequence(...names.map(encodeGeneralName));
}

function encodeGeneralName({ kind, value }: GeneralName): Uint8Array {
  if (kind === "upn") {
    const name = explicit(0, utf8String(value));
    return implicit(0, Buffer.concat([oid(oids.userPrincipalName), name]), true);
  }
  const octets =
    kind === "ip"
      ? Uint8Array.from(ipaddr.parse(value).toByteArray())
      : Buffer.from(value, "latin1");
  return implicit(tags[kind], octets);
}
