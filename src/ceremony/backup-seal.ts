/**
 * The seal of a backup: HMAC-SHA-256 over the whole file, appended to it. Its key comes from the
 * passphrase of the backup (scrypt), from the authority's token key, or from each of them.
 */

import { createHmac, type KeyObject, randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  createReadStream,
  fsyncSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from "node:fs";
import { accepted, type Outcome, refused } from "../refusal.ts";

/** What the seal is made with, or checked with; the passphrase is the stronger word. */
export interface SealKeys {
  readonly passphrase?: string | undefined;
  readonly tokenKey?: KeyObject | undefined;
}

const MAGIC = Buffer.from("countersign backup seal 1\n");
const SALT_BYTES = 16;
const MAC_BYTES = 32;
/** Magic, salt, MAC by the passphrase, MAC by the token key; zeros stand for one that is not there. */
const SEAL_BYTES = MAGIC.length + SALT_BYTES + 2 * MAC_BYTES;
const ABSENT = Buffer.alloc(MAC_BYTES);
/** RFC 7914: 64 MB of memory and some 100 ms for each guess. */
const SCRYPT = { N: 65_536, r: 8, p: 1, maxmem: 128 * 1024 * 1024 };

/** Appends the seal to a finished file and brings it to disk. */
export async function sealBackup(file: string, keys: SealKeys): Promise<void> {
  const salt = randomBytes(SALT_BYTES);
  const [passphrase, token] = keysOf(keys, salt);
  const content = await macs(file, statSync(file).size, [passphrase, token]);
  appendFileSync(file, Buffer.concat([MAGIC, salt, ...content.map((mac) => mac ?? ABSENT)]));
  const handle = openSync(file, "r+");
  fsyncSync(handle);
  closeSync(handle);
}

/**
 * Checks the seal with what the caller has, and gives whether it proved anything: `unproven` when
 * the caller has no key. `file` is the caller's own copy of `source`, so that what was checked is
 * what is read. Refused with `conflict` when the file carries no seal, when its seal does not fit,
 * or when a given key can prove none of it.
 */
export async function checkSeal(
  file: string,
  source: string,
  keys: SealKeys,
): Promise<Outcome<"proven" | "unproven">> {
  const seal = readSeal(file);
  if (seal === undefined) {
    return refused(
      "conflict",
      `${source} carries no seal: it is not a backup of Countersign, or it was altered or damaged.`,
    );
  }
  const [passphrase, token] = keysOf(keys, seal.salt);
  const used = [
    passphrase && seal.byPassphrase ? { key: passphrase, mac: seal.byPassphrase } : undefined,
    token && seal.byTokenKey ? { key: token, mac: seal.byTokenKey } : undefined,
  ].find((one) => one !== undefined);
  if (used === undefined) {
    if (passphrase === undefined && token === undefined) return accepted("unproven");
    const [given, other] =
      token === undefined ? ["passphrase", "--token-key"] : ["token key", "--passphrase-file"];
    // Blanking a seal must not be the way around it.
    return refused(
      "conflict",
      `The ${given} given proves nothing of ${source}: it was sealed without one, or it was altered or damaged. Give ${other} if it was. Nothing was restored.`,
    );
  }
  const [found] = await macs(file, seal.contentBytes, [used.key]);
  if (found !== undefined && timingSafeEqual(found, used.mac)) return accepted("proven");
  const why =
    used.key === passphrase
      ? "the passphrase given: its keys cannot be decrypted with it, or the file was altered or damaged"
      : "the token key given: it belongs to another authority, or the file was altered or damaged";
  return refused("conflict", `The seal of ${source} does not fit ${why}. Nothing was restored.`);
}

/** Takes the seal off a copy, so that the file is as SQLite wrote it. */
export function removeSeal(file: string): void {
  const seal = readSeal(file);
  if (seal !== undefined) truncateSync(file, seal.contentBytes);
}

interface Seal {
  readonly contentBytes: number;
  readonly salt: Buffer;
  readonly byPassphrase: Buffer | undefined;
  readonly byTokenKey: Buffer | undefined;
}

function readSeal(file: string): Seal | undefined {
  const contentBytes = statSync(file).size - SEAL_BYTES;
  if (contentBytes <= 0) return undefined;
  const bytes = Buffer.alloc(SEAL_BYTES);
  const handle = openSync(file, "r");
  try {
    readSync(handle, bytes, 0, SEAL_BYTES, contentBytes);
  } finally {
    closeSync(handle);
  }
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const salt = bytes.subarray(MAGIC.length, MAGIC.length + SALT_BYTES);
  const [first, second] = [SEAL_BYTES - 2 * MAC_BYTES, SEAL_BYTES - MAC_BYTES];
  const macAt = (from: number) => {
    const mac = bytes.subarray(from, from + MAC_BYTES);
    return mac.equals(ABSENT) ? undefined : mac;
  };
  return { contentBytes, salt, byPassphrase: macAt(first), byTokenKey: macAt(second) };
}

function keysOf(
  { passphrase, tokenKey }: SealKeys,
  salt: Buffer,
): readonly [Buffer | undefined, Buffer | undefined] {
  return [
    passphrase === undefined ? undefined : scryptSync(passphrase, salt, MAC_BYTES, SCRYPT),
    tokenKey &&
      createHmac("sha256", tokenKey.export({ type: "pkcs8", format: "der" }))
        .update(MAGIC)
        .update(salt)
        .digest(),
  ];
}

/** The MACs of the first `bytes` of the file, under each key that is there, in one reading. */
async function macs(
  file: string,
  bytes: number,
  keys: readonly (Buffer | undefined)[],
): Promise<(Buffer | undefined)[]> {
  const running = keys.map((key) => key && createHmac("sha256", key));
  for await (const chunk of createReadStream(file, { end: bytes - 1 })) {
    for (const one of running) one?.update(chunk as Buffer);
  }
  return running.map((one) => one?.digest());
}
