// biome-ignore-all lint/suspicious/noTemplateCurlyInString: openssl.cnf writes its variables so
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseConfig } from "../../../src/openssl/config-file.ts";

const folder = mkdtempSync(join(tmpdir(), "cnf-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the real program reads as the value of `asn1` in the default section; undefined: refused. */
function opensslReads(text: string): string | undefined {
  const file = join(folder, "case.cnf");
  writeFileSync(file, text);
  const out = join(folder, "case.der");
  try {
    execFileSync("openssl", ["asn1parse", "-genconf", file, "-noout", "-out", out], {
      stdio: "pipe",
      env: { ...process.env, CNF_TEST: "from the environment" },
    });
    return execFileSync("openssl", ["asn1parse", "-inform", "DER", "-in", out, "-dump"])
      .toString()
      .replace(/\s+/g, " ");
  } catch {
    return undefined;
  }
}

function weRead(text: string) {
  return parseConfig(text, { file: "case.cnf", env: { CNF_TEST: "from the environment" } });
}

const readAlike = [
  ["plain", "asn1 = UTF8:hello world  "],
  ["a comment behind", "asn1 = UTF8:hello # not this"],
  ["an escaped hash", "asn1 = UTF8:hello \\# this too"],
  ["a quoted hash", 'asn1 = UTF8:"hello # this too"'],
  ["single quotes", "asn1 = UTF8:'a  b'c"],
  ["a quote in the other quotes", `asn1 = UTF8:"it's"`],
  ["an escaped quote in quotes", 'asn1 = UTF8:"a\\"b"'],
  ["quotes that stay open", 'asn1 = UTF8:"abc'],
  ["a continued line", "asn1 = UTF8:abc\\\ndef"],
  ["a continued line that ends in blanks", "asn1 = UTF8:abc \\\n   def"],
  ["two backslashes at the end", "asn1 = UTF8:abc\\\\\nx = y"],
  ["escapes", "asn1 = UTF8:a\\tb\\nc\\qd\\\\e"],
  ["escapes in quotes are letters", 'asn1 = UTF8:"a\\tb"'],
  ["a variable", "dir = /ca\nasn1 = UTF8:$dir/certs"],
  ["in braces", "dir = /ca\nasn1 = UTF8:${dir}s"],
  ["in parentheses", "dir = /ca\nasn1 = UTF8:$(dir)s"],
  ["of another section", "[ a ]\ndir = /a\n[default]\nasn1 = UTF8:$a::dir/x"],
  ["of another section in braces", "[ a ]\ndir = /a\n[default]\nasn1 = UTF8:${a::dir}x"],
  ["from the environment", "asn1 = UTF8:$ENV::CNF_TEST!"],
  ["an own section ENV first", "[ENV]\nCNF_TEST=own\n[default]\nasn1 = UTF8:$ENV::CNF_TEST"],
  ["the default behind a section", "dir=/d\n[a]\nx=$dir\n[default]\nasn1=UTF8:$a::x"],
  ["a value for another section", "[a]\ndefault::asn1 = UTF8:there"],
  ["the last of two", "asn1 = UTF8:one\nasn1 = UTF8:two"],
  ["a section that is opened twice", "asn1=UTF8:a\n[b]\nx=1\n[default]\nasn1=UTF8:c"],
  ["an escaped dollar", "asn1 = UTF8:a\\$b"],
  ["a dollar as a letter", ".pragma = dollarid:on\nasn1 = UTF8:a$b"],
  ["braces under dollarid", "x = 1\n.pragma dollarid:true\nasn1 = UTF8:a${x}"],
  ["Windows line ends", "x = 1\r\nasn1 = UTF8:$x!\r\n"],
  ["a section name with blanks", "[ a b ]\nx=1\n[default]\nasn1=UTF8:1"],
  ["an equals sign in the value", "asn1 = UTF8:a=b=c"],
  ["a tab around the sign", "asn1\t=\tUTF8:x"],
] as const;

const refusedAlike = [
  ["a variable without a value", "asn1 = UTF8:$nothing", 1, "the variable nothing has no value"],
  [
    "one of a section that is not there",
    "\nasn1 = UTF8:$a::b",
    2,
    "the variable a::b has no value",
  ],
  ["a variable that stands below", "asn1 = UTF8:$x\nx = 1", 1, "the variable x has no value"],
  ["a brace left open", "x=1\nasn1 = UTF8:${x", 2, "a variable that starts with ${ ends with }"],
  ["no equals sign", "asn1 = UTF8:x\n\nhello", 3, "name = value is wanted here"],
  ["a section left open", "asn1 = UTF8:x\n[ a", 2, "a section ends with ]"],
  [
    "a fault behind a continued line",
    "asn1 = UTF8:a\\\nb\nhello",
    3,
    "name = value is wanted here",
  ],
] as const;

describe("a configuration file", () => {
  test.each(readAlike)("means what it means to openssl: %s", (_, text) => {
    const read = weRead(text);
    const value = read.ok ? read.value.get("default", "asn1")?.value : undefined;
    expect(value).toMatch(/^UTF8:/);
    // The value that we read, written without anything to interpret, is the same to openssl.
    const literal = `asn1 = UTF8:"${value?.slice(5).replace(/[\\"]/g, "\\$&")}"`;
    const oracle = opensslReads(text);
    expect(oracle).toBeDefined();
    if (!/[\n\t]/.test(value ?? "")) expect(oracle).toBe(opensslReads(literal));
    else expect(oracle).toContain((value ?? "").slice(-1));
  });

  test.each(refusedAlike)("is refused where openssl refuses: %s", (_, text, line, want) => {
    expect(opensslReads(text)).toBeUndefined();
    const read = weRead(text);
    expect(read.ok ? "read" : read.refusal.detail).toBe(`case.cnf, line ${line}: ${want}.`);
  });

  test("keeps the place of each value, of an included file too", () => {
    const read = parseConfig("a = 1\n.include more.cnf\n[s]\nc = $b", {
      file: "openssl.cnf",
      env: {},
      include: (path) => (path === "more.cnf" ? [{ file: path, text: "\nb = 2" }] : undefined),
    });
    if (!read.ok) throw new Error(read.refusal.detail);
    expect(read.value.get("default", "b")).toEqual({ value: "2", file: "more.cnf", line: 2 });
    expect(read.value.get("s", "c")).toEqual({ value: "2", file: "openssl.cnf", line: 4 });
  });

  test("is refused with file and line when an included file is bad, absent or includes itself", () => {
    const include = (path: string) =>
      path === "gone" ? undefined : [{ file: path, text: path === "bad" ? "x" : ".include loop" }];
    const say = (text: string) => {
      const read = parseConfig(text, { file: "a.cnf", env: {}, include });
      return read.ok ? "read" : read.refusal.detail;
    };
    expect(say(".include bad")).toBe("bad, line 1: name = value is wanted here.");
    expect(say("\n.include = gone")).toBe("a.cnf, line 2: gone cannot be included.");
    expect(say(".include loop")).toBe("loop, line 1: files include each other too deeply.");
  });

  test("cannot be made to grow without bound by variables", () => {
    const doubling = Array.from({ length: 30 }, (_, at) => `x${at + 1} = $x${at}$x${at}`);
    const read = weRead(["x0 = 0123456789", ...doubling].join("\n"));
    expect(read.ok ? "read" : read.refusal.detail).toMatch(
      /line 14: variables make this value too long/,
    );
  });
});
