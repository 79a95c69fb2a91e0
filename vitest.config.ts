import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    // Tests of real programs wait more than they compute: with one file a core, half of it is idle.
    maxWorkers: 3,
    // Tests that run side by side in one file wait for renewals: nine servers at once.
    maxConcurrency: 9,
  },
});
