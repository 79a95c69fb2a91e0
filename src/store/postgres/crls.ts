/** Published lists on PostgreSQL, whose nodes all show the same one. */

import type pg from "pg";
import { type CrlRow, crlValues, piecesOf, readCrlWith, writeCrl } from "../crl-pieces.ts";
import type { FoundCrl, StoredCrl } from "../store.ts";
import { hot } from "./statements.ts";

/** Runs work in the transaction of the next batch, under locks that all nodes respect. */
type Write = <T>(
  locks: readonly string[],
  work: (client: pg.PoolClient) => Promise<T>,
) => Promise<T>;

export function publishCrl(pool: pg.Pool, write: Write, list: StoredCrl): Promise<boolean> {
  const { issuerId, scope, number } = list;
  const place = [issuerId, scope];
  return writeCrl(piecesOf(list.der), {
    putPiece: (position, bytes) => pool.query(hot.putCrlPiece([...place, number, position, bytes])),
    putRow: (pieces) =>
      write([`crl:${issuerId}:${scope}`], async (client) => {
        const { rowCount } = await client.query(hot.putCrl(crlValues(list, pieces)));
        if (rowCount !== 1) return false;
        await client.query(hot.removeStaleCrls([...place, list.thisUpdate.getTime()]));
        return true;
      }),
    removeOldPieces: () => pool.query(hot.removeOldPieces(place)),
  });
}

export function readCrl(
  pool: pg.Pool,
  issuerId: string,
  scope: string,
  newerThan: number,
): Promise<FoundCrl | undefined> {
  return readCrlWith(issuerId, scope, {
    findRow: async () => {
      const { rows } = await pool.query<CrlRow>(hot.newestCrl([issuerId, scope, newerThan]));
      return rows[0];
    },
    readPiece: async (number, position) => {
      const { rows } = await pool.query<{ bytes: Buffer }>(
        hot.readCrlPiece([issuerId, scope, number, position]),
      );
      return rows[0]?.bytes;
    },
  });
}
