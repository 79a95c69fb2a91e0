/**
 * `openssl.cnf` as OpenSSL's CONF reads it (config(5), crypto/conf/conf_def.c): sections, comments,
 * continued lines, quotes, escapes, variables, `.include` and `.pragma`. Variables are replaced
 * while reading, so that only what stands above can be named.
 */

import { accepted, type Outcome, refused } from "../refusal.ts";

/** A value after quotes, escapes and variables, and the place where it stands. */
export interface ConfigEntry {
  readonly value: string;
  readonly file: string;
  /** Counted from 1; of a continued line, its first. */
  readonly line: number;
}

export interface ConfigSurroundings {
  /** Name of the file, for messages and for `.include`. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Files of an `.include`, in order: one file, or those of a folder that end in .cnf or .conf.
   * Undefined: there is nothing at that path. Without this function an include is refused.
   */
  readonly include?: (path: string) => readonly IncludedFile[] | undefined;
}

export interface IncludedFile {
  readonly file: string;
  readonly text: string;
}

/** What a configuration says. A section that lacks a key gets it from the section `default`. */
export class OpensslConfig {
  readonly #sections: ReadonlyMap<string, ReadonlyMap<string, ConfigEntry>>;

  constructor(sections: ReadonlyMap<string, ReadonlyMap<string, ConfigEntry>>) {
    this.#sections = sections;
  }

  /** The value of a key in a section, or in `default`. */
  get(section: string, key: string): ConfigEntry | undefined {
    return this.#sections.get(section)?.get(key) ?? this.#sections.get(DEFAULT)?.get(key);
  }

  /** The keys of a section itself, in the order of the file; undefined when there is none. */
  section(name: string): ReadonlyMap<string, ConfigEntry> | undefined {
    return this.#sections.get(name);
  }

  get sectionNames(): readonly string[] {
    return [...this.#sections.keys()];
  }
}

const DEFAULT = "default";
/** OpenSSL's own bound on what variables may grow a value to, in characters. */
const LONGEST_VALUE = 65_536;
const DEEPEST_INCLUDE = 16;

/** Reads a configuration. Refuses (`malformed-request`) with file and line of the first fault. */
export function parseConfig(
  text: string,
  surroundings: ConfigSurroundings,
): Outcome<OpensslConfig> {
  const reader = new ConfigReader(surroundings);
  try {
    reader.read(text, surroundings.file, 0);
  } catch (error) {
    if (!(error instanceof ConfigFault)) throw error;
    const { file, line, got, want } = error;
    const message = `${file}, line ${line}: ${want}.`;
    return refused("malformed-request", message, {
      violations: [{ field: `${file}:${line}`, rule: "openssl.config", got, want, message }],
    });
  }
  return accepted(new OpensslConfig(reader.sections));
}

class ConfigFault extends Error {
  readonly file: string;
  readonly line: number;
  readonly got: string;
  readonly want: string;
  constructor(at: { file: string; line: number }, got: string, want: string) {
    super(want);
    this.file = at.file;
    this.line = at.line;
    this.got = got;
    this.want = want;
  }
}

interface Place {
  readonly file: string;
  readonly line: number;
}

class ConfigReader {
  readonly sections = new Map<string, Map<string, ConfigEntry>>([[DEFAULT, new Map()]]);
  readonly #surroundings: ConfigSurroundings;
  #section = DEFAULT;
  /** `.pragma dollarid:on`: a dollar is a letter, and only ${…} and $(…) are variables. */
  #dollarIsLetter = false;

  constructor(surroundings: ConfigSurroundings) {
    this.#surroundings = surroundings;
  }

  read(text: string, file: string, depth: number): void {
    for (const { line, content } of joinLines(text)) {
      const at = { file, line };
      const body = withoutComment(content).trim();
      if (body === "") continue;
      if (body.startsWith("[")) this.#openSection(body, at);
      else this.#assign(body, at, depth);
    }
  }

  #openSection(body: string, at: Place): void {
    const inner = /^\[([^\]]*)\]/.exec(body)?.[1]?.trim();
    if (inner === undefined) throw new ConfigFault(at, body, "a section ends with ]");
    if (inner === "") throw new ConfigFault(at, body, "a section has a name");
    this.#section = this.#expand(inner, at);
    if (!this.sections.has(this.#section)) this.sections.set(this.#section, new Map());
  }

  #assign(body: string, at: Place, depth: number): void {
    const directive = /^\.(include|pragma)(?:\s*=\s*|\s+)(.*)$/.exec(body);
    if (directive) {
      const [, name = "", argument = ""] = directive;
      if (name === "include") this.#include(argument, at, depth);
      else this.#pragma(argument, at);
      return;
    }
    const match = /^(?:([\w!.%&*+,/;?@^~|$-]*)::)?([\w!.%&*+,/;?@^~|$-]*)\s*=\s*(.*)$/s.exec(body);
    if (match === null) throw new ConfigFault(at, body.slice(0, 80), "name = value is wanted here");
    const [, other, name = "", raw = ""] = match;
    const section = other === undefined || other === "" ? this.#section : other;
    const value = this.#expand(raw, at, section);
    const entries = this.sections.get(section) ?? new Map<string, ConfigEntry>();
    this.sections.set(section, entries);
    entries.set(name, { value, ...at });
  }

  #include(argument: string, at: Place, depth: number): void {
    const path = this.#expand(argument, at);
    if (depth >= DEEPEST_INCLUDE)
      throw new ConfigFault(at, path, "files include each other too deeply");
    const files = this.#surroundings.include?.(path);
    if (files === undefined) throw new ConfigFault(at, path, `${path} cannot be included`);
    for (const { file, text } of files) this.read(text, file, depth + 1);
  }

  #pragma(argument: string, at: Place): void {
    const [name = "", value = ""] = argument.split(":").map((one) => one.trim());
    if (value === "") throw new ConfigFault(at, argument, ".pragma wants name:value");
    if (name !== "dollarid") return;
    if (!/^(on|off|true|false)$/i.test(value)) {
      throw new ConfigFault(at, value, ".pragma dollarid is on or off");
    }
    this.#dollarIsLetter = /^(on|true)$/i.test(value);
  }

  /** Quotes, escapes and variables of a value. */
  #expand(raw: string, at: Place, section = this.#section): string {
    let out = "";
    for (let position = 0; position < raw.length; position++) {
      const one = raw[position] ?? "";
      if (isQuote(one)) {
        const quoted = readQuoted(raw, position);
        out += quoted.text;
        position = quoted.end;
      } else if (one === "\\") {
        position++;
        const next = raw[position] ?? "";
        out += escapes.get(next) ?? next;
      } else if (one === "$" && !(this.#dollarIsLetter && !/^[{(]/.test(raw.slice(position + 1)))) {
        const variable = this.#variable(raw, position, at, section);
        out += variable.text;
        position = variable.end;
      } else out += one;
      if (out.length > LONGEST_VALUE) {
        throw new ConfigFault(at, `${out.length} characters`, "variables make this value too long");
      }
    }
    return out;
  }

  #variable(raw: string, start: number, at: Place, section: string): { text: string; end: number } {
    const match = /^\$([{(]?)(?:(\w+)::)?(\w*)/.exec(raw.slice(start));
    const [all = "$", open = "", other, name = ""] = match ?? [];
    const close = open === "{" ? "}" : open === "(" ? ")" : "";
    if (close !== "" && raw[start + all.length] !== close) {
      throw new ConfigFault(
        at,
        raw.slice(start, start + 40),
        `a variable that starts with $${open} ends with ${close}`,
      );
    }
    const from = other ?? section;
    const text =
      this.sections.get(from)?.get(name)?.value ??
      (from === "ENV" ? this.#surroundings.env[name] : undefined) ??
      this.sections.get(DEFAULT)?.get(name)?.value;
    if (text === undefined) {
      const shown = other === undefined ? name : `${other}::${name}`;
      throw new ConfigFault(at, `$${shown}`, `the variable ${shown} has no value`);
    }
    return { text, end: start + all.length + close.length - 1 };
  }
}

const escapes: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["b", "\b"],
]);

function isQuote(one: string): boolean {
  return one === '"' || one === "'" || one === "`";
}

/** Within quotes a backslash takes the next character as it is. A quote left open ends with its line. */
function readQuoted(raw: string, start: number): { text: string; end: number } {
  const quote = raw[start];
  let text = "";
  let position = start + 1;
  for (; position < raw.length && raw[position] !== quote; position++) {
    if (raw[position] === "\\" && position + 1 < raw.length) position++;
    text += raw[position];
  }
  return { text, end: position };
}

/** Lines with those that end in one backslash joined to the next. */
function joinLines(text: string): { line: number; content: string }[] {
  const joined: { line: number; content: string }[] = [];
  let open: { line: number; content: string } | undefined;
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [position, one] of lines.entries()) {
    const continues = /(?:^|[^\\])\\$/.test(one);
    const content = (open?.content ?? "") + (continues ? one.slice(0, -1) : one);
    const line = open?.line ?? position + 1;
    open = continues ? { line, content } : undefined;
    if (open === undefined) joined.push({ line, content });
  }
  return open === undefined ? joined : [...joined, open];
}

/** Takes away what follows an unquoted and unescaped `#`. */
function withoutComment(content: string): string {
  for (let position = 0; position < content.length; position++) {
    const one = content[position] ?? "";
    if (one === "#") return content.slice(0, position);
    if (one === "\\") position++;
    else if (isQuote(one)) position = readQuoted(content, position).end;
  }
  return content;
}
