import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { configNode } from "../../src/config/schema/configuration.ts";
import type { SchemaNode } from "../../src/config/schema/node.ts";
import { catalogue } from "../../src/refusal.ts";
import { commentsOf, namesRoute, sentencesOf, stringsOf, unplainOf } from "../helpers/words.ts";
import { floors } from "./rooms.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (file: string) => readFileSync(join(root, file), "utf8");
const sources = globSync("src/**/*.ts", { cwd: root }).map((file) => ({ file, text: read(file) }));

/** Texts that are a file in another language: SQL, YAML, openssl.cnf. */
const otherLanguage =
  /^\s*(?:select|insert|update|delete|create|with|certificates c)\b|^\[|\n\[|^# /im;

describe("public texts are plain English", () => {
  test("the catalogue of refusals", () => {
    const texts = Object.values(catalogue).flatMap(({ title, cause, cure }) => [
      title,
      cause,
      cure,
    ]);
    expect(texts.length).toBeGreaterThan(60);
    expect(texts.flatMap(unplainOf)).toEqual([]);
  });

  test("the configuration's descriptions", () => {
    const texts: string[] = [];
    const walk = (node: SchemaNode): void => {
      texts.push(node.description ?? "", node.expected ?? "");
      const below = [node.properties, node.patternProperties].flatMap((one) =>
        Object.values(one ?? {}),
      );
      for (const one of [...below, ...(node.anyOf ?? []), ...(node.items ? [node.items] : [])]) {
        walk(one);
      }
    };
    walk(configNode);
    expect(texts.length).toBeGreaterThan(200);
    expect(texts.flatMap(unplainOf)).toEqual([]);
  });

  test("the OpenAPI document", () => {
    const texts: string[] = [];
    const walk = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      for (const [key, below] of Object.entries(value)) {
        if (typeof below === "string" && /^(?:description|summary|title)$/.test(key)) {
          texts.push(below);
        } else walk(below);
      }
    };
    walk(parse(read("openapi/openapi.yaml")));
    expect(texts.length).toBeGreaterThan(200);
    expect(texts.flatMap(unplainOf)).toEqual([]);
  });

  test("what the program prints, answers and logs", () => {
    const found = sources.flatMap(({ file, text }) =>
      stringsOf(file, text)
        .filter((one) => /\s/.test(one.text) && !otherLanguage.test(one.text))
        .flatMap((one) => unplainOf(one.text).map((what) => `${file}:${one.line}: ${what}`)),
    );
    expect(found).toEqual([]);
  });

  test("no text below the server names a route of REST", () => {
    const below = ({ file }: { file: string }) =>
      (floors[file.split("/")[1] ?? ""] ?? Infinity) < (floors["server"] ?? 0) ||
      file.startsWith("src/ceremony/");
    const found = sources.filter(below).flatMap(({ file, text }) =>
      stringsOf(file, text)
        // A value without a blank, such as the audience of a token, is not a text.
        .filter((one) => /\s/.test(one.text) && namesRoute.test(one.text))
        .map((one) => `${file}:${one.line}: ${one.text}`),
    );
    expect(sources.filter(below).length).toBeGreaterThan(80);
    expect(found).toEqual([]);
  });
});

test("the pages for people are plain English", () => {
  // The changelog is a list of keywords, one line an entry.
  const pages = globSync(["*.md", "docs/*.md"], { cwd: root }).filter(
    (page) => page !== "CHANGELOG.md",
  );
  const found = pages.flatMap((page) => {
    // Lists of terms in tables, headings and code are not sentences.
    const prose = read(page)
      .replace(/^```[\s\S]*?^```/gm, "\n")
      .replace(/^(?:\||#).*$/gm, "\n")
      .replace(/\]\([^)]*\)/g, "]")
      .replaceAll("**", "");
    return unplainOf(prose).map((what) => `${page}: ${what}`);
  });
  expect(pages.length).toBeGreaterThan(10);
  expect(found).toEqual([]);
});

test("comments are plain English", () => {
  const found = sources.flatMap(({ file, text }) =>
    commentsOf(file, text).flatMap((one) =>
      unplainOf(one.text).map((what) => `${file}:${one.line}: ${what}`),
    ),
  );
  expect(found).toEqual([]);
});

describe("the rules find what they are for", () => {
  const many = Array.from({ length: 26 }, () => "word").join(" ");
  test.each([
    ["By whose leave it was issued.", 1],
    ["A name that begins with a dot. Whoever holds it may renew it.", 2],
    ["The media type is none that this route reads.", 1],
    ["Undefined when there is none. None of these, and no word of BEGIN CERTIFICATE.", 0],
    [`${many}.`, 1],
    [`One two. O${many.slice(6)}. Three.`, 0],
  ])("%s", (text, count) => {
    expect(unplainOf(text)).toHaveLength(count);
  });

  test("in comments, strings and templates", () => {
    const source = [
      "/** One\n * begins. */",
      'const a = "POST /v1/tokens mints one";',
      "// two\n// lines",
      `const b = \`GET /v1/\${a} begins\`;`,
    ].join("\n");
    expect(commentsOf("a.ts", source).map(({ line, text }) => [line, sentencesOf(text)])).toEqual([
      [1, ["One begins."]],
      [4, ["two lines"]],
    ]);
    const strings = stringsOf("a.ts", source);
    expect(strings.map(({ text }) => text)).toEqual([
      "POST /v1/tokens mints one",
      "GET /v1/X begins",
    ]);
    expect(strings.every(({ text }) => namesRoute.test(text))).toBe(true);
  });
});
