import { DerReader } from "../../der/reader.ts";
import { type DistinguishedName, readName } from "../name/read.ts";
import { formatSerial } from "../serial.ts";

/** All that an authorityKeyIdentifier says of an issuer (RFC 5280 4.2.1.1). */
export interface WholeKeyIdentifier {
  readonly keyIdentifier: Uint8Array | undefined;
  /** Of who issued the issuer: the first directoryName. */
  readonly issuerName: DistinguishedName | undefined;
  /** Hex, as everywhere. */
  readonly serial: string | undefined;
}

/** The value of an authorityKeyIdentifier. Throws DerError. */
export function readWholeKeyIdentifier(value: Uint8Array): WholeKeyIdentifier {
  const outer = new DerReader(value, "authorityKeyIdentifier");
  const fields = outer.enter(0x30, "authorityKeyIdentifier");
  outer.end();
  const keyIdentifier = fields.peek() === 0x80 ? fields.content(0x80, "keyIdentifier") : undefined;
  const issuerName =
    fields.peek() === 0xa1
      ? firstDirectoryName(fields.enter(0xa1, "authorityCertIssuer"))
      : undefined;
  const serial = fields.peek() === 0x82 ? formatSerial(fields.content(0x82, "serial")) : undefined;
  fields.end();
  return { keyIdentifier, issuerName, serial };
}

function firstDirectoryName(names: DerReader): DistinguishedName | undefined {
  while (!names.done) {
    const { tag, content } = names.any("generalName");
    if (tag === 0xa4) return readName(new DerReader(content, "directoryName"));
  }
  return undefined;
}
