import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { openTokenKey } from "../../config/open-authority.ts";
import { parseCertificateChain } from "../../x509/certificate/read.ts";
import { requestBytes } from "../../x509/csr/read.ts";
import type { GeneralName } from "../../x509/name/general-name.ts";
import { attributesOf, type DistinguishedName } from "../../x509/name/read.ts";
import { CommandFailure, failure } from "../failure.ts";
import {
  collectName,
  countFlag,
  type DataFlags,
  durationFlag,
  readCompiledConfig,
  subjectFlag,
  withData,
} from "../options.ts";

interface TokenFlags extends DataFlags {
  readonly profile: string;
  readonly cn?: string;
  readonly san?: readonly GeneralName[];
  readonly subject?: DistinguishedName;
  readonly ttl?: number;
  readonly uses?: number;
  readonly csr?: string;
  readonly json?: boolean;
}

/** `countersign token`: mints an enrolment token from the token key of the data folder. */
export function registerToken(program: Command): void {
  withData(program.command("token"))
    .description("mint an enrolment token with the authority's token key")
    .requiredOption("--profile <name>", "profile that the token is for")
    .option("--cn <name>", "the CN that the certificate will have")
    .option(
      "--san <name>",
      "a name it may carry: dns:…, ip:…, uri:…, email:… (repeatable)",
      collectName,
    )
    .option(
      "--subject <attributes>",
      "attributes that its subject will have exactly so, e.g. OU=team-a",
      subjectFlag,
    )
    .option("--ttl <duration>", "life of the token, e.g. 10m", durationFlag)
    .option("--uses <number>", "with how many keys it may be used", countFlag)
    .option("--csr <file>", "bind it to this one certificate request")
    .option("--json", "print token, id and end of life as JSON")
    .action(mintToken);
}

async function mintToken(flags: TokenFlags): Promise<void> {
  const config = readCompiledConfig(flags);
  const profile = config.profiles.get(flags.profile);
  if (profile === undefined) {
    throw new CommandFailure(
      `There is no profile ${flags.profile}; there are: ${[...config.profiles.keys()].join(", ")}.`,
    );
  }
  const root = parseCertificateChain(readFileSync(config.rootCertificate, "utf8"));
  if (!root.ok || root.value[0] === undefined) {
    throw new CommandFailure(`${config.rootCertificate} holds no certificate.`);
  }
  const key = await openTokenKey(config, root.value[0].sha256);
  const minted = await key.mint(
    {
      profile: flags.profile,
      commonName: flags.cn,
      names: flags.san ?? [],
      ...(flags.subject && { subject: attributesOf(flags.subject) }),
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
