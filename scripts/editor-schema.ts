import type { SchemaNode } from "../src/config/schema/node.ts";
import { configSchema } from "../src/config/schema/schema.ts";

/** The JSON Schema (draft 2020-12) by which editors complete and check `countersign.yaml`. */
export function renderEditorSchema(): string {
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Countersign configuration",
    ...forEditors(configSchema),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

type Json = Readonly<Record<string, unknown>>;

/** Without the keywords that only this program knows; a key with a default need not be written. */
function forEditors(node: SchemaNode): Json {
  const { resolve, expected, unit, least, most, ...known } = node;
  const { properties, patternProperties, items, anyOf, required, ...rest } = known;
  const needed = required?.filter((key) => properties?.[key]?.default === undefined) ?? [];
  return {
    ...rest,
    ...(anyOf === undefined ? {} : { anyOf: anyOf.map(forEditors) }),
    ...(items === undefined ? {} : { items: forEditors(items) }),
    ...(properties === undefined ? {} : { properties: each(properties) }),
    ...(needed.length === 0 ? {} : { required: needed }),
    ...(patternProperties === undefined
      ? {}
      : { patternProperties: each(patternProperties), additionalProperties: false }),
  };
}

function each(nodes: Readonly<Record<string, SchemaNode>>): Json {
  return Object.fromEntries(Object.entries(nodes).map(([key, node]) => [key, forEditors(node)]));
}
