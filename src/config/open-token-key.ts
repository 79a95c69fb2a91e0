import { readPrivateKey } from "../authority/signer/key-file.ts";
import { TokenKey, type TokenSettings } from "../authority/token/own.ts";
import type { CompiledConfig } from "./compile.ts";

/** The key that mints and reads enrolment tokens of this authority. */
export function openTokenKey(config: CompiledConfig, rootSha256: string): Promise<TokenKey> {
  const settings: TokenSettings = {
    authorityName: config.name,
    audience: `${config.publicUrl.origin}/v1/certificates`,
    rootSha256,
    defaultTtlSeconds: config.tokens.ttlSeconds,
    maxTtlSeconds: config.tokens.maxTtlSeconds,
  };
  return TokenKey.from(
    settings,
    readPrivateKey(config.tokenKey, config.issuers[0].passphrase?.reveal()),
  );
}
