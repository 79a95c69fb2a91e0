import fc from "fast-check";
import Value from "typebox/value";
import { describe, expect, it } from "vitest";
import { configNode } from "../../../src/config/schema/configuration.ts";
import { fits } from "../../../src/config/schema/fits.ts";
import type { SchemaNode } from "../../../src/config/schema/node.ts";
import { configSchema } from "../../../src/config/schema/schema.ts";

/** Every node of a schema, by its place. */
function nodesOf(node: SchemaNode, path: string): [path: string, node: SchemaNode][] {
  const below = [
    ...Object.entries(node.properties ?? {}),
    ...Object.entries(node.patternProperties ?? {}),
    ...Object.entries(node.anyOf ?? []),
    ...(node.items === undefined ? [] : [["[]", node.items] as const]),
  ];
  return [[path, node], ...below.flatMap(([key, one]) => nodesOf(one, `${path}/${key}`))];
}

const nodes = nodesOf(configSchema, "");
/** What is right somewhere is wrong elsewhere. */
const samples = nodes.flatMap(([, { examples = [], default: fallback, enum: words = [] }]) => [
  ...examples,
  ...(fallback === undefined ? [] : [fallback]),
  ...words,
]);
const odd = [
  null,
  true,
  false,
  0,
  -1,
  1,
  0.5,
  65_536,
  NaN,
  Infinity,
  "",
  " ",
  "a\nb",
  "é",
  "😀",
  {},
];
const value = fc.oneof(
  fc.constantFrom(...samples, ...odd, []),
  fc.jsonValue(),
  fc.string({ unit: "binary", maxLength: 250 }),
  fc.integer(),
);

describe("whether a value fits the schema", () => {
  it("is what TypeBox says too, of every key", () => {
    expect(nodes.length).toBeGreaterThan(150);
    for (const [path, node] of nodes) {
      for (const one of [...samples, ...odd]) {
        expect([path, one, fits(node, one)]).toEqual([path, one, Value.Check(node, one)]);
      }
    }
  });

  it("is what TypeBox says too, of any value", () => {
    const property = fc.property(fc.constantFrom(...nodes), value, ([, node], one) => {
      expect(fits(node, one)).toBe(Value.Check(node, one));
    });
    fc.assert(property, { numRuns: 3000 });
  });

  it("is asked of the schema that schema.ts describes (else: npm run generate)", () => {
    expect(configNode).toEqual(JSON.parse(JSON.stringify(configSchema)));
  });
});
