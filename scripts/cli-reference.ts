import type { Command, Option } from "commander";
import { exitCodes } from "../src/cli/failure.ts";
import { buildProgram } from "../src/cli/main.ts";

/** `docs/reference/cli.md`, from the commands themselves. */
export async function renderCliReference(): Promise<string> {
  const program = await buildProgram();
  const sections = leaves(program).map(({ path, command }) => describe(path, command));
  const codes = [
    [exitCodes.fine, "It worked."],
    [exitCodes.failed, "It did not work, or was refused; standard error says why."],
    [exitCodes.usage, "The command line cannot be read."],
    [exitCodes.configuration, "The configuration or the data folder is not right."],
  ];
  return [
    "# Command line",
    "",
    "Generated from the program by `npm run generate`. In the repository: `./bin/countersign.mjs …`.",
    "",
    "## Exit codes",
    "",
    "| code | meaning |",
    "| ---- | ------- |",
    ...codes.map(([code, meaning]) => `| ${code} | ${meaning} |`),
    "",
    "A command that uses a code differently says so in its own help.",
    "",
    ...sections,
  ].join("\n");
}

interface Leaf {
  readonly path: string;
  readonly command: Command;
}

function leaves(command: Command, path = command.name()): Leaf[] {
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands.flatMap((one) => leaves(one, `${path} ${one.name()}`));
}

function describe(path: string, command: Command): string {
  const usage = `${path} ${command.usage()}`.trim();
  const options = command.options.map(
    (option) => `| \`${option.flags}\` | ${escapeCell(textOf(option))} |`,
  );
  return [
    `## ${path}`,
    "",
    `${sentence(command.description())}`,
    "",
    "```",
    usage,
    "```",
    "",
    ...(options.length > 0 ? ["| option | meaning |", "| --- | --- |", ...options, ""] : []),
  ].join("\n");
}

function textOf(option: Option): string {
  const choices = option.argChoices ? ` One of: ${option.argChoices.join(", ")}.` : "";
  const plain = ["string", "number"].includes(typeof option.defaultValue);
  const fallback = plain ? ` Default: ${option.defaultValue}.` : "";
  const environment = option.envVar ? ` Environment: ${option.envVar}.` : "";
  return sentence(option.description) + choices + fallback + environment;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}
