import type { Command } from "commander";
import { keyTypes } from "../../x509/key/private-key.ts";
import { durationFlag } from "../options.ts";
import { defaultIdentityFolder, fileFlag, readKeyType, withToken } from "./options.ts";
import type { EnrollFlags } from "./run/enroll.ts";

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
    .option("--key-type <type>", `one of ${keyTypes.join(", ")}`, readKeyType, "P-256")
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
    .action(async (flags: EnrollFlags) => (await import("./run/enroll.ts")).runEnroll(flags));
}
