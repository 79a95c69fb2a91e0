/** What `countersign token` does. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { openTokenKey } from "../../../config/open-token-key.ts";
import { readCertificateFile } from "../../../x509/certificate/read-file.ts";
import { requestBytes } from "../../../x509/csr/read-bytes.ts";
import { attributesOf } from "../../../x509/name/read.ts";
import { readCompiledConfig } from "../../configuration.ts";
import { CommandFailure, failure } from "../../failure.ts";
import { readNames, readSubject } from "../../names.ts";
import type { DataFlags } from "../../options.ts";

export interface TokenFlags extends DataFlags {
  readonly profile: string;
  readonly cn?: string;
  readonly san?: readonly string[];
  readonly subject?: string;
  readonly ttl?: number;
  readonly uses?: number;
  readonly csr?: string;
  readonly json?: boolean;
}

export async function mintToken(flags: TokenFlags): Promise<void> {
  const config = readCompiledConfig(flags);
  const profile = config.profiles.get(flags.profile);
  if (profile === undefined) {
    throw new CommandFailure(
      `There is no profile ${flags.profile}; there are: ${[...config.profiles.keys()].join(", ")}.`,
    );
  }
  const root = readCertificateFile(config.rootCertificate);
  if (!root.ok) throw failure(root.refusal);
  const key = await openTokenKey(config, root.value[0].sha256);
  const minted = await key.mint(
    {
      profile: flags.profile,
      commonName: flags.cn,
      names: readNames("--san <name>", flags.san ?? []),
      ...(flags.subject !== undefined && {
        subject: attributesOf(readSubject("--subject <attributes>", flags.subject)),
      }),
      ...(flags.ttl !== undefined && { ttlSeconds: flags.ttl }),
      ...(flags.uses !== undefined && { uses: flags.uses }),
      ...(flags.csr !== undefined && { csrSha256: hashOfRequest(flags.csr) }),
    },
    profile,
    new Date(),
  );
  if (!minted.ok) throw failure(minted.refusal);
  const { token, id, expiresAt } = minted.value;
  console.log(
    flags.json ? JSON.stringify({ token, id, expiresAt: expiresAt.toISOString() }) : token,
  );
}

function hashOfRequest(path: string): string {
  const der = requestBytes(readFileSync(path));
  if (!der.ok) throw failure(der.refusal);
  return createHash("sha256").update(der.value).digest("hex");
}
