/** Names in flags: they are read when the command runs, so that nothing is loaded for other commands. */

import { InvalidArgumentError } from "commander";
import type { Outcome } from "../refusal.ts";
import { type GeneralName, parseGeneralNameText } from "../x509/name/general-name.ts";
import { type DistinguishedName, parseSubjectText } from "../x509/name/read.ts";
import { CommandFailure, exitCodes } from "./failure.ts";

/** Reads names such as `dns:web.example.test` of a repeatable flag. Throws CommandFailure. */
export function readNames(flag: string, texts: readonly string[]): GeneralName[] {
  return texts.map((text) => read(flag, text, parseGeneralNameText));
}

/** Reads a subject, or attributes of one: `/C=IN/O=Example` or `OU=team-a`. Throws CommandFailure. */
export function readSubject(flag: string, text: string): DistinguishedName {
  return read(flag, text, parseSubjectText);
}

/** In the words of commander, as if it had read the flag itself. */
function read<T>(flag: string, text: string, parse: (text: string) => Outcome<T>): T {
  const outcome = parse(text);
  if (outcome.ok) return outcome.value;
  throw new CommandFailure(
    `error: option '${flag}' argument '${text}' is invalid. ${outcome.refusal.detail}`,
    exitCodes.usage,
  );
}

/** Collects names while flags are read. */
export function collectName(text: string, before: readonly GeneralName[] = []): GeneralName[] {
  const name = parseGeneralNameText(text);
  if (!name.ok) throw new InvalidArgumentError(name.refusal.detail);
  return [...before, name.value];
}
