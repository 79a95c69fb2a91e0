/** A piece of the configuration's schema, as the rooms that walk it see it. */
export interface SchemaNode {
  readonly type?: string | undefined;
  readonly properties?: Readonly<Record<string, SchemaNode>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>> | undefined;
  readonly minProperties?: number | undefined;
  readonly items?: SchemaNode | undefined;
  readonly minItems?: number | undefined;
  readonly anyOf?: readonly SchemaNode[] | undefined;
  readonly default?: unknown | undefined;
  readonly description?: string | undefined;
  readonly examples?: readonly unknown[] | undefined;
  readonly unit?: string | undefined;
  readonly expected?: string | undefined;
  /** Least and most seconds of a duration. */
  readonly least?: number | undefined;
  readonly most?: number | undefined;
  readonly resolve?: string | undefined;
  readonly enum?: readonly string[] | undefined;
  /** TypeBox's mark of a schema whose type was given by hand; here so that it counts as a node. */
  readonly "~unsafe"?: unknown;
}

/** A map with free keys, such as `profiles`: the pattern of its keys and the schema of its values. */
export function recordOf(node: SchemaNode): { pattern: RegExp; value: SchemaNode } | undefined {
  const entry = Object.entries(node.patternProperties ?? {})[0];
  return entry && { pattern: new RegExp(entry[0], "u"), value: entry[1] };
}

/** The alternative that a map stands for, where other forms (a word, false) are also allowed. */
export function mapForm(node: SchemaNode): SchemaNode {
  if (node.resolve !== undefined) {
    return node;
  }
  return node.anyOf?.find((form) => form.type === "object") ?? node;
}

/** Whether a value is a map as YAML and JSON have it. */
export function isPlainMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
