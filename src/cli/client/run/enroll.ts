/** What `countersign enroll` does. */

import { enroll } from "../../../client/enroll.ts";
import { identityFiles } from "../../../client/identity/files.ts";
import { standingOf } from "../../../client/identity/identity.ts";
import type { KeyType } from "../../../x509/key/private-key.ts";
import { CommandFailure, exitCodes } from "../../failure.ts";
import { ownCommand, shellWord } from "../../own-command.ts";
import type { TokenFlags } from "../options.ts";
import { defaultIdentityFolder, tokenSource } from "../options.ts";
import { speakingPlainly } from "./plainly.ts";

export interface EnrollFlags extends TokenFlags {
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

export async function runEnroll(flags: EnrollFlags): Promise<void> {
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
    console.log(`Keep it alive: ${ownCommand()} renew --daemon --dir ${shellWord(dir)}`);
  });
}

function missingToken(): never {
  throw new CommandFailure(
    "There is no token to enrol with. Give --token, --token-file or --token-env; `countersign token` mints one.",
    exitCodes.usage,
  );
}
