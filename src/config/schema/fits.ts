import { type Schema, Validator } from "@cfworker/json-schema";
import type { SchemaNode } from "./node.ts";

const validators = new WeakMap<SchemaNode, Validator>();

/**
 * Whether a value as YAML has it is what a schema describes (JSON Schema 2020-12). TypeBox has such
 * a function too, and loads 680 modules for it; a test holds the two against each other.
 */
export function fits(schema: SchemaNode, value: unknown): boolean {
  // JSON knows no undefined; YAML has .nan and .inf, which no key takes.
  if (value === undefined || (typeof value === "number" && !Number.isFinite(value))) return false;
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = new Validator(schema as Schema, "2020-12");
    validators.set(schema, validator);
  }
  return validator.validate(value).valid;
}
