import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { renderConfigurationReference } from "../../../scripts/configuration-reference.ts";
import { renderEditorSchema } from "../../../scripts/editor-schema.ts";
import { renderDefaultConfig } from "../../../src/config/default-file.ts";
import { settableKeys, variableOf } from "../../../src/config/load/overrides.ts";
import { configSchema } from "../../../src/config/schema/schema.ts";

const validate = new Ajv2020({ strict: true }).compile(JSON.parse(renderEditorSchema()) as object);

describe("the JSON Schema for editors", () => {
  it("accepts the first configuration and the least one", () => {
    const first = renderDefaultConfig({
      name: "Example",
      publicUrl: "https://ca.example.test",
      publicHttpUrl: "http://ca.example.test",
      hosts: [],
      attributes: [],
    });
    expect([validate(parse(first)), validate.errors]).toEqual([true, null]);
    expect(validate({ name: "Example", publicUrl: "https://ca.example.test" })).toBe(true);
  });

  // Ranges of durations and what YAML itself refuses are beyond a JSON Schema.
  const beyond = /alias|document|duplicate|tab/;
  const vectors = join(import.meta.dirname, "../../vectors/config");
  for (const name of readdirSync(vectors).filter((file) => /yaml$/.test(file))) {
    it.skipIf(beyond.test(name))(`refuses ${name}`, () => {
      const value: unknown = parse(readFileSync(join(vectors, name), "utf8"), { merge: true });
      expect(validate(value)).toBe(false);
    });
  }
});

describe("the schema", () => {
  it("describes every key, with an example", () => {
    const silent: string[] = [];
    const look = (node: typeof configSchema, path: string): void => {
      for (const [key, property] of Object.entries(node.properties ?? {})) {
        if (!property.description || !property.examples?.length) {
          silent.push(`${path}${key}`);
        }
        look(property, `${path}${key}.`);
      }
      for (const below of [...(node.anyOf ?? []), ...Object.values(node.patternProperties ?? {})]) {
        look(below, path);
      }
      if (node.items) {
        look(node.items, `${path}[].`);
      }
    };
    look({ ...configSchema }, "");
    // The alternatives of a secret are explained where the secret is.
    expect(silent.filter((key) => !/\.(file|env)$/.test(key))).toEqual([]);
  });

  it("gives every key a variable of its own, which the reference names", () => {
    const variables = settableKeys(configSchema, undefined).map(variableOf);
    expect(new Set(variables).size).toBe(variables.length);
    const reference = renderConfigurationReference();
    const attributes = /_POLICY_SUBJECT_(COUNTRY|STATE|ORGANI|COMMON|EMAIL)/;
    const missing = variables
      .filter((name) => !attributes.test(name))
      .map((name) => name.replace(/_PROFILES_[A-Z]+/, "_PROFILES_<NAME>"))
      .filter((name) => !name.endsWith("<NAME>") && !reference.includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });
});
