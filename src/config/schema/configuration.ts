import type { SchemaNode } from "./node.ts";
import written from "./schema.json" with { type: "json" };

/**
 * The schema of the configuration, as `npm run generate` wrote it down from `schema.ts`. So the
 * program reads one file where TypeBox would load 370 modules at each start.
 */
export const configNode: SchemaNode = written;
