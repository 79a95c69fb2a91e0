import type { Command } from "commander";

/** `countersign lint FILE…`: holds certificates against RFC 5280, under zlint's names where they map. */
export function registerLint(program: Command): void {
  program
    .command("lint <file...>")
    .description("hold certificates (PEM or DER) against the rules of RFC 5280; exit 1 on an error")
    .option("--json", "one JSON object a finding")
    .action(async (files: readonly string[], flags: { readonly json?: boolean }) =>
      (await import("./run/lint.ts")).lintFiles(files, flags),
    );
}
