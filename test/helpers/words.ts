/** What a person reads of a source file, and by which rules it is plain English. */

import { parseSync, Visitor } from "oxc-parser";

export interface Found {
  readonly line: number;
  readonly text: string;
}

/** The comments of a source file; lines of `//` that follow each other are one. */
export function commentsOf(file: string, source: string): Found[] {
  const found: { line: number; text: string; end: number }[] = [];
  for (const { type, value, start, end } of parseSync(file, source).comments) {
    const last = found.at(-1);
    const between = last === undefined ? "" : source.slice(last.end, start);
    if (type === "Line" && last !== undefined && /^\n[ \t]*$/.test(between)) {
      last.text += `\n${value}`;
      last.end = end;
      continue;
    }
    const text = value.replace(/^\*/, "").replace(/^[ \t]*\* ?/gm, "");
    found.push({ line: lineOf(source, start), text, end });
  }
  return found.filter(({ text }) => !text.trimStart().startsWith("biome-ignore"));
}

/** The string literals and templates of a source file; a value in a template becomes `X`. */
export function stringsOf(file: string, source: string): Found[] {
  const found: Found[] = [];
  const see = (text: string, at: number) => found.push({ line: lineOf(source, at), text });
  new Visitor({
    Literal: ({ value, start }) => {
      if (typeof value === "string") see(value, start);
    },
    TemplateLiteral: ({ quasis, start }) => {
      see(quasis.map(({ value }) => value.cooked ?? "").join("X"), start);
    },
  }).visit(parseSync(file, source).program);
  return found;
}

function lineOf(source: string, at: number): number {
  return source.slice(0, at).split("\n").length;
}

/** The sentences of a text; points of lists, and paragraphs, end one too. Examples are left out. */
export function sentencesOf(text: string): string[] {
  return text
    .replace(/```[\s\S]*?```/g, "")
    .replace(/\b(e\.g|i\.e)\./g, "$1")
    .split(/(?<=[.!?][)"'`]?)\s+(?=[\p{Lu}\p{N}`"'(])|\n\s*\n|\n\s*(?:[-*|]|\d+\.)\s/u)
    .map((one) => one.replace(/\s+/g, " ").trim())
    .filter((one) => one !== "");
}

const longestSentence = 25;
const unplain =
  /\b(?:begin(?:s|ning)?|began|begun|whoever|unheard|by whose leave)\b|(?<!there )\b(?:is|are) none\b(?! of)|\bstands? twice\b/i;
/** Words of PEM and of SQL that only look like ours. */
const foreign = /-----BEGIN\b|\bBEGINs?\b|\bbegin (?:immediate|exclusive|isolation)\b/g;

/** What is not plain in a text: each sentence with a word to avoid, or of more than 25 words. */
export function unplainOf(text: string): string[] {
  return sentencesOf(text).flatMap((sentence) => {
    const words = sentence.split(" ").filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
    const word = unplain.exec(sentence.replace(foreign, ""))?.[0];
    return [
      ...(word === undefined ? [] : [`"${word}": ${sentence}`]),
      ...(words > longestSentence ? [`${words} words: ${sentence}`] : []),
    ];
  });
}

/** What reads as an address or a call of a REST route. */
export const namesRoute =
  /\/v1\/|\b(?:GET|POST|PUT|PATCH|DELETE) \/|\/(?:readyz|healthz|metrics|openapi\.json)\b/;
