import { type Command, Option } from "commander";
import { reasonNames } from "../../authority/revoke.ts";
import { filterEntries } from "../../store/index/filters.ts";
import { withData } from "../options.ts";
import type { ExportFlags, ListFlags, RevokeFlags, ShowFlags } from "./run/certs.ts";

/** `countersign certs list|show|revoke|export`: the index, over mutual TLS, as an operator. */
export function registerCerts(program: Command): void {
  const certs = program.command("certs").description("list, show, revoke and export certificates");
  withFilters(withOperator(certs.command("list")).description("search the index"))
    .option("--limit <number>", "how many at most", "100")
    .action(async (flags: ListFlags) => (await run()).listCertificates(flags));
  withOperator(certs.command("show <serial>"))
    .description("everything known about one certificate")
    .option("--pem", "print the certificate and its chain")
    .action(async (serial: string, flags: ShowFlags) =>
      (await run()).showCertificate(serial, flags),
    );
  withOperator(certs.command("revoke <serial>"))
    .description("revoke, hold (certificateHold) or release (removeFromCRL) a certificate")
    .option(
      "--reason <reason>",
      `RFC 5280 name or number: ${reasonNames.join(", ")}`,
      "unspecified",
    )
    .option("--lineage", "the same for every living certificate that was renewed from it")
    .option("--allow-renewals", "let what was renewed from a compromised certificate renew on")
    .action(async (serial: string, flags: RevokeFlags) =>
      (await run()).revokeCertificate(serial, flags),
    );
  const formats = ["ndjson", "csv", "index.txt", "pem"];
  withFilters(withOperator(certs.command("export")))
    .description("everything that matches, to standard output")
    .addOption(new Option("--format <format>", "format").choices(formats).default("ndjson"))
    .action(async (flags: ExportFlags) => (await run()).exportCertificates(flags));
}

/** One flag for each filter of the index: `requestedBy` is `--requested-by`. */
function withFilters(command: Command): Command {
  for (const [name, { placeholder, finds }] of filterEntries) {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    command.option(`--${flag} <${placeholder}>`, finds);
  }
  return command;
}

function withOperator(command: Command): Command {
  return withData(command)
    .option("--url <url>", "address of the service (default: publicUrl of the configuration)")
    .option("--cert <file>", "operator's certificate (default: operator.crt in the data folder)")
    .option("--key <file>", "its key (default: operator.key in the data folder)")
    .option("--json", "print JSON");
}

const run = () => import("./run/certs.ts");
