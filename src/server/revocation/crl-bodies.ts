/** A published list as it is sent: megabytes that are neither hashed nor encoded for each fetch. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { etagOf } from "./cacheable.ts";

/** Octets of a line of PEM (RFC 7468 2): 64 characters. */
const LINE_OCTETS = 48;
/** Encoded in one turn of the event loop: about a millisecond. */
const LINES_PER_TURN = 4096;
/** Not longer than the signature of any key that issues. */
const SIGNATURE_TAIL = 64;

/** The signature ends the list and covers all of it: its octets tell two lists apart. */
export function crlEtag(der: Uint8Array): string {
  return etagOf(der.subarray(-SIGNATURE_TAIL));
}

/** The same memory as a Buffer. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const encoded = new WeakMap<Uint8Array, Promise<Buffer>>();

/** PEM of a list, encoded once and slice by slice. */
export function crlPem(der: Uint8Array): Promise<Buffer> {
  const known = encoded.get(der);
  if (known !== undefined) return known;
  const pem = encodePem(bufferOf(der));
  encoded.set(der, pem);
  return pem;
}

async function encodePem(der: Buffer): Promise<Buffer> {
  const slices: Buffer[] = [Buffer.from("-----BEGIN X509 CRL-----\n")];
  const step = LINE_OCTETS * LINES_PER_TURN;
  for (let from = 0; from < der.length; from += step) {
    const slice = der.subarray(from, from + step);
    let text = "";
    for (let at = 0; at < slice.length; at += LINE_OCTETS) {
      text += `${slice.toString("base64", at, at + LINE_OCTETS)}\n`;
    }
    slices.push(Buffer.from(text, "latin1"));
    if (from + step < der.length) await nextTurn();
  }
  slices.push(Buffer.from("-----END X509 CRL-----\n"));
  return Buffer.concat(slices);
}
