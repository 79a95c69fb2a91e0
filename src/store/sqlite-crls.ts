/** Published lists on SQLite; each piece is a commit of its own, so that others come between. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { type CrlRow, crlValues, readCrlWith, writeCrl } from "./crl-pieces.ts";
import type { HotStatements } from "./sqlite-statements.ts";
import type { StoredCrl } from "./store.ts";

/** Runs work in the transaction of the next batch. */
type Write = <T>(work: () => T) => Promise<T>;

export function publishCrl(hot: HotStatements, write: Write, list: StoredCrl): Promise<boolean> {
  const { issuerId, scope, number } = list;
  const place = [issuerId, scope];
  return writeCrl(list, {
    putPiece: (position, bytes) =>
      write(() => hot.putCrlPiece.run(...place, number, position, bytes)),
    putRow: (pieces) =>
      write(() => {
        const newer = [...place, number, list.sequence];
        const { changes } = hot.putCrl.run(...crlValues(list, pieces), ...newer);
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
): Promise<StoredCrl | undefined> {
  return readCrlWith(issuerId, scope, {
    findRow: async () => hot.newestCrl.get(issuerId, scope, newerThan) as CrlRow | undefined,
    readPiece: async (number, position) => {
      const bytes = hot.readCrlPiece.get(issuerId, scope, number, position);
      await nextTurn();
      return bytes as Buffer | undefined;
    },
  });
}
