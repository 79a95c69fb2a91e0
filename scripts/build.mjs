// Compiles src/ and migrations/ to dist/ and puts `countersign` where `npx` finds it.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
const compiled = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], {
  cwd: root,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

const bins = join(root, "node_modules", ".bin");
if (existsSync(bins)) {
  rmSync(join(bins, "countersign"), { force: true });
  symlinkSync(join("..", "..", "bin", "countersign.mjs"), join(bins, "countersign"));
}
// Its time says when the build was complete.
writeFileSync(join(dist, ".built"), "");
