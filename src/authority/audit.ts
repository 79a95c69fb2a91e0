import type { NewAuditEntry } from "../store/store.ts";
import { type Caller, identityOf } from "./caller.ts";

/** What an audit line adds to its caller: everything else is filled in here, once. */
export interface Decision {
  readonly action: string;
  readonly verdict: NewAuditEntry["verdict"];
  readonly serial?: string | undefined;
  readonly csrSha256?: string | undefined;
  readonly code?: string | undefined;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** The audit line of a decision. Holds identities, hashes and rules, never a token or a key. */
export function auditLine(caller: Caller, at: Date, decision: Decision): NewAuditEntry {
  return {
    at,
    requestId: caller.requestId,
    action: decision.action,
    verdict: decision.verdict,
    caller: identityOf(caller),
    address: caller.address,
    serial: decision.serial,
    csrSha256: decision.csrSha256,
    code: decision.code,
    detail: decision.detail ?? {},
  };
}
