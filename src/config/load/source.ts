import { readFileSync } from "node:fs";
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import type { Violation } from "../../refusal.ts";
import { configProblem, type KeyPath } from "../problem.ts";

/** A configuration file as it was read: its plain value, and the line of every key. */
export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** The line of the key at `path`, or of the nearest key above it. */
  lineOf(path: KeyPath): number;
  has(path: KeyPath): boolean;
}

/** Reads a YAML (or JSON) file; what is wrong with its syntax comes back as problems. */
export function readSource(file: string): Source | readonly Violation[] {
  const problem = (line: number, got: string) =>
    configProblem({
      origin: { source: "file", file, line },
      path: [],
      rule: "syntax",
      got,
      want: "",
    });
  let written: string;
  try {
    written = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    return [
      problem(1, `the file cannot be read (${error instanceof Error ? error.message : error})`),
    ];
  }
  const lines = new LineCounter();
  const document = parseDocument(written, { lineCounter: lines, merge: true, version: "1.2" });
  const faults = [...document.errors, ...document.warnings].map((error) =>
    problem(lines.linePos(error.pos[0]).line, sayFault(error)),
  );
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) === undefined) {
        const line = lines.linePos(alias.range?.[0] ?? 0).line;
        faults.push(problem(line, `*${alias.source} has no &${alias.source} before it`));
      }
    },
  });
  if (faults.length > 0) {
    return faults;
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return [problem(1, error instanceof Error ? error.message : String(error))];
  }
  return {
    file,
    value: value ?? {},
    lineOf: (path) => locate(document, lines, path).line,
    has: (path) => locate(document, lines, path).found,
  };
}

function sayFault(error: YAMLError): string {
  if (error.code === "MULTIPLE_DOCS") {
    return "the file holds more than one document";
  }
  return (error.message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:$/, "");
}

/** Walks down through maps, lists and aliases as far as the file goes. */
function locate(document: Document.Parsed, lines: LineCounter, path: KeyPath) {
  let node: Node | null | undefined = document.contents;
  let line = node?.range ? lines.linePos(node.range[0]).line : 1;
  for (const step of path) {
    const place = child(isAlias(node) ? node.resolve(document) : node, step);
    if (place === undefined) {
      return { line, found: false };
    }
    line = place.at === undefined ? line : lines.linePos(place.at).line;
    node = place.node;
  }
  return { line, found: true };
}

function child(node: Node | null | undefined, step: string | number) {
  if (isMap(node)) {
    const pair = (node.items as Pair<Node, Node | null>[]).find(
      ({ key }) => isScalar(key) && String(key.value) === String(step),
    );
    return pair && { node: pair.value, at: pair.key.range?.[0] };
  }
  if (isSeq(node) && typeof step === "number") {
    const item = node.items[step] as Node | undefined;
    return item && { node: item, at: item.range?.[0] };
  }
  return undefined;
}
