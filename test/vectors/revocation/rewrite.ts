/** Lists that `openssl ca` does not write: its list, with other entries, signed with the same key. */

import { createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import * as der from "../../../src/der/writer.ts";
import { parseCrl } from "../../../src/x509/crl/read.ts";
import { signatureAlgorithmDer } from "../../../src/x509/key/signature-algorithm.ts";
import type { Made, Maker } from "./make.ts";

const algorithm = signatureAlgorithmDer("ecdsa-with-SHA256");

/** A list of version 2 with these entries (DER), an empty SEQUENCE of them included. */
export function rewrite(
  maker: Maker,
  by: Made,
  { entries }: { readonly entries: readonly Uint8Array[] },
): Uint8Array {
  const parsed = parseCrl(maker.list(by));
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  const { issuer, thisUpdate, nextUpdate = thisUpdate } = parsed.value;
  const tbs = der.sequence(
    der.integer(1),
    algorithm,
    issuer.der,
    der.time(thisUpdate),
    der.time(nextUpdate),
    der.sequence(...entries),
  );
  const key = createPrivateKey(readFileSync(maker.path(`${by.key}.key`)));
  return der.sequence(tbs, algorithm, der.bitString(sign("sha256", tbs, key)));
}
