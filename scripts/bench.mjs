// `npm run bench -- NAME`: runs one benchmark of bench/ on the pinned Node.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "bench");
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));
const [name, ...rest] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(`usage: npm run bench -- NAME, with NAME one of: ${names.join(", ")}`);
  process.exit(2);
}
const result = spawnSync(process.execPath, ["--expose-gc", join(folder, `${name}.ts`), ...rest], {
  stdio: "inherit",
});
process.exit(result.status ?? 1);
