/** How a ceremony says no. */

import type { Refusal } from "../refusal.ts";

/** A ceremony does not take place; nothing was changed. The message is whole sentences for people. */
export class CeremonyRefused extends Error {
  override readonly name: string = "CeremonyRefused";
  /** The refusal of a lower room, with its violations, where that is the reason. */
  readonly refusal: Refusal | undefined;

  constructor(message: string, refusal?: Refusal) {
    super(message);
    this.refusal = refusal;
  }

  /** What a lower room refused. */
  static by(refusal: Refusal): CeremonyRefused {
    return new CeremonyRefused(refusal.detail, refusal);
  }
}

/** The folder holds something already, whole or half; a ceremony never writes over it. */
export class FolderOccupied extends CeremonyRefused {
  override readonly name = "FolderOccupied";
}
