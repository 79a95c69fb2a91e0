import type { Command } from "commander";
import { expect, test } from "vitest";
import { buildProgram } from "../../../src/cli/main.ts";
import { unplainOf } from "../../helpers/words.ts";

test("the help of each command is plain English", async () => {
  const texts: string[] = [];
  const walk = (command: Command): void => {
    texts.push(command.description());
    for (const one of [...command.options, ...command.registeredArguments]) {
      texts.push(one.description);
    }
    command.commands.forEach(walk);
  };
  walk(await buildProgram());
  expect(texts.length).toBeGreaterThan(100);
  expect(texts.flatMap(unplainOf)).toEqual([]);
});
