import { expect } from "vitest";

/** Every part stands in the text; a failure names the first that is missing and shows the text. */
export function expectParts(text: string, parts: readonly string[]): void {
  for (const part of parts) expect(text).toContain(part);
}
