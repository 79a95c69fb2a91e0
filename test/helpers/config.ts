/** The configuration of a data folder, for tests, benches and scripts. */

import type { CompiledConfig } from "../../src/config/compile.ts";
import { readFolderConfig } from "../../src/config/data-folder.ts";

/** As `serve` reads it, without the environment. Throws with every problem. */
export function compiledConfig(
  folder: string,
  flags: Readonly<Record<string, string>> = {},
): CompiledConfig {
  const config = readFolderConfig({ dataDir: folder, env: {}, flags });
  if (!config.ok) throw new Error(JSON.stringify(config.refusal, null, 2));
  return config.value;
}
