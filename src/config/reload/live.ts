import type { CompiledConfig } from "../compile.ts";

/** The configuration in force: who reads a key of it each time follows a reload. */
export interface LiveConfig {
  current: CompiledConfig;
}
