import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { buildProgram } from "../../helpers/built-program.ts";

test("the built package gives countersign/client to plain JavaScript, with types, and loads no server", () => {
  const { folder, remove } = buildProgram();
  onTestFinished(remove);
  const program = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
    const { autoRenew } = await import("countersign/client");
    console.log(JSON.stringify({ type: typeof autoRenew, loaded }));
  `;
  const said = execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: folder,
    encoding: "utf8",
  });
  const { type, loaded } = JSON.parse(said) as { type: string; loaded: string[] };
  expect(type).toBe("function");
  const rooms = loaded.map((url) => /\/dist\/src\/([\w.-]+)/.exec(url)?.[1]).filter(Boolean);
  expect([...new Set(rooms)].sort()).toEqual(["client", "der", "refusal.js", "x509"]);
  expect(
    loaded.filter((url) => /node_modules\/(?:.*(?:fastify|sqlite|kysely)|pg\/)/.test(url)),
  ).toEqual([]);
  expect(existsSync(join(folder, "dist/src/client/index.d.ts"))).toBe(true);
});
