import type { Command } from "commander";
import { collect, countFlag, durationFlag, withData } from "../options.ts";
import type { TokenFlags } from "./run/token.ts";

/** `countersign token`: mints an enrolment token from the token key of the data folder. */
export function registerToken(program: Command): void {
  withData(program.command("token"))
    .description("mint an enrolment token with the authority's token key")
    .requiredOption("--profile <name>", "profile that the token is for")
    .option("--cn <name>", "the CN that the certificate will have")
    .option(
      "--san <name>",
      "a name it may carry: dns:…, ip:…, uri:…, email:…, upn:… (repeatable)",
      collect,
    )
    .option(
      "--subject <attributes>",
      "attributes that its subject will have exactly so, e.g. OU=team-a",
    )
    .option("--ttl <duration>", "life of the token, e.g. 10m", durationFlag)
    .option("--uses <number>", "with how many keys it may be used", countFlag)
    .option("--csr <file>", "bind it to this one certificate request")
    .option("--json", "print token, id and end of life as JSON")
    .action(async (flags: TokenFlags) => (await import("./run/token.ts")).mintToken(flags));
}
