/** The configuration of a data folder, as commands read it. */

import process from "node:process";
import { type CompiledConfig, compileConfig } from "../config/compile.ts";
import { type LoadedConfig, loadConfig } from "../config/load/load.ts";
import { failure } from "./failure.ts";
import type { DataFlags } from "./options.ts";

/** Loads the configuration of a data folder; throws CommandFailure with every problem. */
export function readConfig(flags: DataFlags): LoadedConfig {
  const loaded = loadConfig({ dataDir: flags.data, env: process.env, flags: flags.set });
  if (!loaded.ok) throw failure(loaded.refusal);
  return loaded.value;
}

/** Loads and compiles the configuration; throws CommandFailure with every problem. */
export function readCompiledConfig(flags: DataFlags): CompiledConfig {
  return compiled(readConfig(flags));
}

/** Compiles a loaded configuration; throws CommandFailure with every problem. */
export function compiled(loaded: LoadedConfig): CompiledConfig {
  const config = compileConfig(loaded);
  if (!config.ok) throw failure(config.refusal);
  return config.value;
}
