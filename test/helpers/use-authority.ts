/** One authority for all tests of a file, or of a `describe` block. */

import { afterAll, beforeAll } from "vitest";
import { type StartOptions, startAuthority, type TestAuthority } from "./authority.ts";

/**
 * Starts an authority before the tests and stops it after them, with the examination of all that it
 * recorded. What it gives is the running authority; before the tests it throws.
 */
export function useAuthority(options: StartOptions = {}): TestAuthority {
  let running: TestAuthority | undefined;
  beforeAll(async () => {
    running = await startAuthority(options);
  });
  afterAll(() => running?.stop());
  return new Proxy({} as TestAuthority, {
    get: (_, key) => {
      if (running === undefined) throw new Error("the authority starts before the first test");
      return Reflect.get(running, key);
    },
  });
}
