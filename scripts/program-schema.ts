import { configSchema } from "../src/config/schema/schema.ts";

/** `src/config/schema/schema.json`: what the program reads instead of building it with TypeBox. */
export function renderProgramSchema(): string {
  return `${JSON.stringify(configSchema, null, 2)}\n`;
}
