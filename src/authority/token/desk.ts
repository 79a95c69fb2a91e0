/** Own tokens and those of trusted others: Kubernetes service accounts, CI systems, OpenID providers. */

import type { TokenDesk } from "../authority.ts";
import { foreignFault } from "./claim-names.ts";
import { type ForeignIssuer, foreignVerifier, namesAudience } from "./foreign.ts";
import { invalid, type ParsedJwt, parseJwt } from "./jwt.ts";
import type { TokenKey } from "./own.ts";

/**
 * Chooses by `iss` and `aud` who verifies a token; an unknown issuer is refused. Of several entries
 * that fit, the first in the order of the configuration that accepts the token decides.
 */
export function openTokenDesk(
  own: TokenKey,
  authorityName: string,
  foreign: readonly ForeignIssuer[],
): TokenDesk {
  const entries = foreign.map((trusted) => ({ trusted, verify: foreignVerifier(trusted) }));
  const verifyForeign = async (jwt: string, parsed: ParsedJwt, issuer: string, now: Date) => {
    const ofIssuer = entries.filter(({ trusted }) => trusted.issuer === issuer);
    if (ofIssuer.length === 0) {
      return invalid("its issuer is neither this authority nor one that it trusts");
    }
    let refusal = foreignFault("its claim `aud` is not acceptable");
    let first = true;
    for (const { trusted, verify } of ofIssuer) {
      if (!namesAudience(parsed, trusted.audience)) continue;
      const outcome = await verify(jwt, parsed, now);
      if (outcome.ok) return outcome;
      if (first) refusal = outcome;
      first = false;
    }
    return refusal;
  };
  return {
    mint: (request, profile, now) => own.mint(request, profile, now),
    verify: async (jwt, now) => {
      const parsed = parseJwt(jwt);
      if (!parsed.ok) return parsed;
      // Not verified yet: only good for choosing who verifies it.
      const issuer = parsed.value.payload["iss"];
      if (typeof issuer !== "string") return invalid("it names no issuer (`iss`)");
      return issuer === authorityName
        ? own.verify(parsed.value, now)
        : verifyForeign(jwt, parsed.value, issuer, now);
    },
  };
}
