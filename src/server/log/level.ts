import type { CompiledConfig } from "../../config/compile.ts";

/** The framework says each address it listens on at "info"; the welcome has said it already. */
export function frameworkLevel(level: CompiledConfig["logLevel"]): CompiledConfig["logLevel"] {
  return level === "info" ? "warn" : level;
}
