import { describe, expect, it } from "vitest";
import { configNode } from "../../../src/config/schema/configuration.ts";
import type { SchemaNode } from "../../../src/config/schema/node.ts";
import { whenChanged, whenChangedOf } from "../../../src/config/schema/when-changed.ts";

/** Keys that have a fixed name and nothing but a value, or a map with free keys, below them. */
function keysOf(node: SchemaNode, path: string): string[] {
  if (node.properties === undefined) return [path];
  return Object.entries(node.properties).flatMap(([key, one]) =>
    keysOf(one, path === "" ? key : `${path}.${key}`),
  );
}

describe("when a changed key takes effect", () => {
  it("is decided for every key of the schema, and for no other", () => {
    const keys = keysOf(configNode, "");
    expect(keys.length).toBeGreaterThan(40);
    const decided = Object.keys(whenChanged);
    const covers = (above: string, key: string) => key === above || key.startsWith(`${above}.`);
    expect(keys.filter((key) => decided.filter((one) => covers(one, key)).length !== 1)).toEqual(
      [],
    );
    expect(decided.filter((one) => !keys.some((key) => covers(one, key)))).toEqual([]);
  });

  it("is found for what stands below a key, too", () => {
    expect(whenChangedOf("tokens.issuers[0].claims.commonName")).toBe("reload");
    expect(whenChangedOf("profiles.web.keys.ec[1]")).toBe("reload");
    expect(whenChangedOf("issuer.key")).toBe("restart");
    expect(() => whenChangedOf("limits")).toThrow(/limits/);
  });
});
