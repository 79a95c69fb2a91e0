/** Looks at the root's CRL at the start and once a day, and says in the log when it ends. */

import { type RootList, rootListProblem } from "../../authority/crl/root-list.ts";
import type { Issuer } from "../../authority/issuers.ts";
import type { Duty } from "../duties.ts";

const DAY_MS = 86_400_000;

export function rootListDuty(
  issuer: Issuer,
  read: () => RootList | undefined,
  {
    clock,
    log,
  }: { readonly clock: () => Date; readonly log: { warn: (fields: object, text: string) => void } },
): Duty {
  let next = new Date(0);
  return {
    name: "the root's CRL",
    failure: "the root's CRL cannot be read",
    due: () => next,
    run: async () => {
      const list = read();
      const problem = rootListProblem(issuer, list, clock());
      if (problem !== undefined) log.warn({ nextUpdate: list?.nextUpdate }, problem);
      next = new Date(clock().getTime() + DAY_MS);
    },
  };
}
