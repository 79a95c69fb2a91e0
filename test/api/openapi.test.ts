import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { callerRules } from "../../src/server/caller.ts";
import { answerChecker } from "../helpers/openapi.ts";
import { useAuthority } from "../helpers/use-authority.ts";

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security?: Record<string, string[]>[];
  readonly responses: Record<string, { description: string }>;
}

let document: {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: object };
};
const authority = useAuthority();
beforeAll(async () => {
  document = (await authority.call("GET", "/openapi.json")).json;
});

describe("the OpenAPI document", () => {
  test("is 3.1, with bearer and mutualTLS, the same as JSON and as YAML", async () => {
    expect(document.openapi).toBe("3.1.0");
    expect(document.components.securitySchemes).toMatchObject({
      token: { type: "http", scheme: "bearer" },
      mutualTLS: { type: "mutualTLS" },
    });
    expect(parse((await authority.call("GET", "/openapi.yaml")).text)).toEqual(document);
  });

  test("has every route that is not Swagger UI's own, with the security that the gate enforces", () => {
    const routes = authority.service.app.routeTable.filter(
      ({ method, url }) => method !== "HEAD" && !url.startsWith("/docs"),
    );
    for (const { method, url, caller = "public" } of routes) {
      const path = url.replace(/:(\w+)(\(.*?\))?/g, "{$1}").replace("/*", "/{request}");
      const operation = document.paths[path]?.[method.toLowerCase()];
      expect(operation, `${method} ${url}`).toBeDefined();
      const { token, certificate, operator } = callerRules[caller];
      const schemes = (operation?.security ?? []).flatMap((one) => Object.keys(one));
      expect([url, schemes]).toEqual([
        url,
        [...(token ? ["token"] : []), ...(certificate || operator ? ["mutualTLS"] : [])],
      ]);
      expect(operation?.summary).toBeTruthy();
      expect(Object.keys(operation?.responses ?? {})).toEqual(
        expect.arrayContaining(["429", "500"]),
      );
    }
  });

  test("each operation has an id of its own", () => {
    const ids = Object.values(document.paths).flatMap((path) =>
      Object.values(path).map((one) => one.operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("is what openapi/openapi.yaml holds, but for name and address", () => {
    const committed = parse(
      readFileSync(new URL("../../openapi/openapi.yaml", import.meta.url), "utf8"),
    );
    expect(document.paths).toEqual(committed.paths);
    expect(document.components).toEqual(committed.components);
  });

  test("the checker that every API test uses finds an undocumented status, type and field", () => {
    const check = answerChecker(document);
    const json = "application/json";
    expect(() => check("GET", "/healthz", { status: 418, type: json, text: "{}" })).toThrow("418");
    expect(() => check("GET", "/healthz", { status: 200, type: "text/html", text: "" })).toThrow(
      "text/html",
    );
    expect(() => check("GET", "/healthz", { status: 200, type: json, text: "{}" })).toThrow(
      "status",
    );
  });
});
