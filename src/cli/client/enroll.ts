import type { Command } from "commander";
import { enroll } from "../../client/enroll.ts";
import { identityFiles } from "../../client/identity/files.ts";
import { standingOf } from "../../client/identity/identity.ts";
import { defaultKeyType, readKeyType } from "../../client/identity/keys.ts";
import { type KeyType, keyTypes } from "../../x509/key/private-key.ts";
import { CommandFailure, exitCodes } from "../failure.ts";
import { durationFlag } from "../options.ts";
import {
  defaultIdentityFolder,
  fileFlag,
  speakingPlainly,
  type TokenFlags,
  tokenSource,
  withToken,
} from "./options.ts";

interface EnrollFlags extends TokenFlags {
  readonly url?: string;
  readonly out?: string;
  readonly dir?: string;
  readonly root?: string;
  readonly rootSha256?: string;
  readonly keyType: KeyType;
  readonly profile?: string;
  readonly subject?: string;
  readonly cn?: string;
  readonly san?: readonly string[];
  readonly validity?: string;
  readonly wait: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `countersign enroll`: from a token to key, certificate, chain and root in a folder. */
export function registerEnroll(program: Command): void {
  withToken(program.command("enroll"))
    .description("make a key, get its certificate with a token, and write both into a folder")
    .option(
      "--url <url>",
      "the authority, e.g. https://ca.example.test:8443 (default: the token's)",
    )
    .option("--out <dir>", `folder to write into (default: ${defaultIdentityFolder})`)
    .option("--dir <dir>", "the same as --out")
    .option("--root <file>", "root to trust (default: by the fingerprint in the token)", fileFlag)
    .option("--root-sha256 <hex>", "SHA-256 fingerprint of the root to trust")
    .option("--key-type <type>", `one of ${keyTypes.join(", ")}`, readKeyType, defaultKeyType)
    .option("--profile <name>", "profile (default: the token's)")
    .option("--subject <dn>", "whole subject, e.g. /C=IN/O=Example/CN=web (default: by the policy)")
    .option("--cn <name>", "common name (default: the token's)")
    .option(
      "--san <name>",
      "alternative name such as dns:web.example.test (repeatable; default: the token's)",
      (one: string, before: readonly string[] = []) => [...before, one],
    )
    .option("--validity <duration>", "life of the certificate, e.g. 36h (default: the profile's)")
    .option("--wait <duration>", "how long to try while it cannot be reached", durationFlag, 30)
    .option("--force", "enrol although a good certificate is in place")
    .option("--json", "print what was made as JSON")
    .action(runEnroll);
}

async function runEnroll(flags: EnrollFlags): Promise<void> {
  const dir = flags.out ?? flags.dir ?? defaultIdentityFolder;
  const token = tokenSource(flags);
  await speakingPlainly(async () => {
    const { enrolled, identity, notices } = await enroll({
      ...flags,
      dir,
      // Read only when a token is needed: with a good certificate in place none is.
      token: token ?? missingToken,
      patienceMs: flags.wait * 1000,
    });
    const standing = standingOf(identity);
    if (flags.json) {
      console.log(
        JSON.stringify({ enrolled, dir, url: identity.record.url, ...standing, notices }),
      );
      return;
    }
    const until = standing.notAfter.toISOString();
    if (!enrolled) {
      console.log(`${dir} holds a good certificate for ${standing.subject} until ${until}.`);
      console.log("Nothing was done. `countersign renew` renews it; --force enrols again.");
      return;
    }
    console.log(`Certificate ${standing.serial} for ${standing.subject}, until ${until}`);
    for (const name of standing.subjectAltNames) console.log(`  ${name}`);
    for (const notice of notices) console.log(`Note: ${notice}`);
    const { key, certificate, chain, fullchain, root } = identityFiles;
    console.log(`Written to ${dir}: ${[key, certificate, chain, fullchain, root].join(", ")}`);
    console.log(`Keep it alive: countersign renew --daemon --dir ${dir}`);
  });
}

function missingToken(): never {
  throw new CommandFailure(
    "There is no token to enrol with. Give --token, --token-file or --token-env; `countersign token` mints one.",
    exitCodes.usage,
  );
}
