/** Files of the data folder that several rooms know, and its configuration read as a whole. */

import type { Outcome } from "../refusal.ts";
import { type CompiledConfig, compileConfig } from "./compile.ts";
import { type ConfigRequest, loadConfig } from "./load/load.ts";

/** The root's own CRL (DER): the ceremony writes it, the service serves it. */
export const rootCrlFile = "root.crl";

/**
 * Loads and compiles the configuration of a data folder.
 * Refuses with `invalid-configuration` and every problem at once.
 */
export function readFolderConfig(request: ConfigRequest): Outcome<CompiledConfig> {
  const loaded = loadConfig(request);
  return loaded.ok ? compileConfig(loaded.value) : loaded;
}
