/** Certificates written piece by piece, so that each piece can be wrong. */

import type { KeyObject } from "node:crypto";
import * as der from "../../src/der/writer.ts";
import { encodeExtension, extensionOids } from "../../src/x509/extensions/encode.ts";
import { signatureAlgorithmDer } from "../../src/x509/key/signature-algorithm.ts";
import { now, signBytes } from "./x509-chain.ts";

export interface Pieces {
  readonly algorithm?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  readonly version?: Uint8Array;
  readonly serial?: Uint8Array;
  readonly issuer: Uint8Array;
  readonly notBefore?: Uint8Array;
  readonly notAfter?: Uint8Array;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  /** Unique identifiers: elements between key and extensions. */
  readonly identifiers?: Uint8Array;
  readonly after?: Uint8Array;
  readonly key: KeyObject;
}

/** A certificate of these pieces, signed with a P-256 key. */
export function handmadeCertificate(pieces: Pieces): Uint8Array {
  const algorithm = pieces.algorithm ?? signatureAlgorithmDer("ecdsa-with-SHA256");
  const extensions = pieces.extensions ?? [extension("basicConstraints", "3000", true)];
  const tbs = der.sequence(
    pieces.version ?? der.explicit(0, der.integer(2)),
    pieces.serial ?? der.integer(Buffer.alloc(17, 0x4a)),
    algorithm,
    pieces.issuer,
    der.sequence(pieces.notBefore ?? der.time(now), pieces.notAfter ?? der.time(now)),
    pieces.subject,
    pieces.spki,
    ...(pieces.identifiers ? [pieces.identifiers] : []),
    ...(extensions.length > 0 ? [der.explicit(3, der.sequence(...extensions))] : []),
    ...(pieces.after ? [pieces.after] : []),
  );
  const signature = signBytes(tbs, pieces.key, "ecdsa-with-SHA256");
  return der.sequence(tbs, pieces.outerAlgorithm ?? algorithm, der.bitString(signature));
}

/** A named extension with a value in hex. */
export function extension(
  name: keyof typeof extensionOids,
  hex: string,
  critical = false,
): Uint8Array {
  const value = Buffer.from(hex, "hex");
  return encodeExtension({ oid: extensionOids[name], critical, value });
}
