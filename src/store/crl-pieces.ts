/** Published lists in the database: a row for each, and the bytes of the newest in pieces. */

import type { FoundCrl, StoredCrl } from "./store.ts";

/** A few milliseconds of work for either engine; a list of a hundred thousand entries has forty. */
const PIECE_BYTES = 128 * 1024;

/** A row of `crls`. */
export interface CrlRow {
  readonly number: number;
  readonly sequence: number;
  readonly this_update: number;
  readonly next_update: number;
  /** 0: its bytes are not kept. */
  readonly pieces: number;
}

export function piecesOf(der: Uint8Array): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < der.length; at += PIECE_BYTES) {
    pieces.push(der.subarray(at, at + PIECE_BYTES));
  }
  return pieces;
}

/** The columns of `crls` in the order of the statements. */
export function crlValues(list: StoredCrl, pieces: number): (string | number)[] {
  return [
    list.issuerId,
    list.scope,
    list.number,
    list.sequence,
    list.thisUpdate.getTime(),
    list.nextUpdate.getTime(),
    pieces,
  ];
}

/** What an engine does to put a list; each step is durable before the next. */
export interface CrlWriter {
  putPiece(position: number, bytes: Uint8Array): Promise<unknown>;
  /** Puts the row of the list unless there is a newer one, in one step. */
  putRow(pieces: number): Promise<boolean>;
  /** Removes pieces of all lists of the scope but the newest. */
  removeOldPieces(): Promise<unknown>;
}

/** Bytes first: a row whose bytes are missing would be a list that nobody can read. */
export async function writeCrl(pieces: readonly Uint8Array[], writer: CrlWriter): Promise<boolean> {
  for (const [position, bytes] of pieces.entries()) await writer.putPiece(position, bytes);
  const put = await writer.putRow(pieces.length);
  await writer.removeOldPieces();
  return put;
}

/** What an engine does to read one. */
export interface CrlReader {
  findRow(): Promise<CrlRow | undefined>;
  readPiece(number: number, position: number): Promise<Uint8Array | undefined>;
}

/** Reads the newest list; starts again when another node replaces it meanwhile. */
export async function readCrlWith(
  issuerId: string,
  scope: string,
  reader: CrlReader,
): Promise<FoundCrl | undefined> {
  let given = -1;
  for (;;) {
    const row = await reader.findRow();
    // The same row without its bytes a second time: they are gone, and a new list is due.
    if (row === undefined || row.number === given) return undefined;
    given = row.number;
    const pieces: Uint8Array[] = [];
    while (pieces.length < row.pieces) {
      const bytes = await reader.readPiece(row.number, pieces.length);
      if (bytes === undefined) break;
      pieces.push(bytes);
    }
    if (pieces.length < row.pieces) continue;
    return {
      issuerId,
      scope,
      number: row.number,
      sequence: row.sequence,
      thisUpdate: new Date(row.this_update),
      nextUpdate: new Date(row.next_update),
      der: pieces.length < 2 ? pieces[0] : Buffer.concat(pieces),
    };
  }
}
