/**
 * Published lists on SQLite. Of long ones the bytes are not kept: nobody else reads them, and a
 * service that starts anew makes them anew. Kept, five megabytes with each revocation filled the
 * write-ahead log, whose checkpoint then held the event loop for 20 to 27 ms.
 */

import { setImmediate as nextTurn } from "node:timers/promises";
import { type CrlRow, crlValues, piecesOf, readCrlWith, writeCrl } from "../crl-pieces.ts";
import type { FoundCrl, StoredCrl } from "../store.ts";
import type { HotStatements } from "./statements.ts";

/** Five thousand entries. */
const MOST_KEPT_BYTES = 256 * 1024;

/** Runs work in the transaction of the next batch. */
type Write = <T>(work: () => T) => Promise<T>;

export function publishCrl(hot: HotStatements, write: Write, list: StoredCrl): Promise<boolean> {
  const { issuerId, scope, number } = list;
  const place = [issuerId, scope];
  const pieces = list.der.length > MOST_KEPT_BYTES ? [] : piecesOf(list.der);
  return writeCrl(pieces, {
    putPiece: (position, bytes) =>
      write(() => hot.putCrlPiece.run(...place, number, position, bytes)),
    putRow: () =>
      write(() => {
        const newer = [...place, number, list.sequence];
        const { changes } = hot.putCrl.run(...crlValues(list, pieces.length), ...newer);
        if (changes === 1) hot.removeStaleCrls.run(...place, list.thisUpdate.getTime());
        return changes === 1;
      }),
    removeOldPieces: () => write(() => hot.removeOldPieces.run(...place, ...place)),
  });
}

export function readCrl(
  hot: HotStatements,
  issuerId: string,
  scope: string,
  newerThan: number,
): Promise<FoundCrl | undefined> {
  return readCrlWith(issuerId, scope, {
    findRow: async () => hot.newestCrl.get(issuerId, scope, newerThan) as CrlRow | undefined,
    readPiece: async (number, position) => {
      const bytes = hot.readCrlPiece.get(issuerId, scope, number, position);
      await nextTurn();
      return bytes as Buffer | undefined;
    },
  });
}
