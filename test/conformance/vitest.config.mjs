import { defineConfig } from "vitest/config"

// One try per test: a test that passes at the second attempt has failed.
export default defineConfig({
  test: {
    include: ["conformance.test.mjs"],
    testTimeout: 5000,
    fileParallelism: false,
    retry: 0,
    reporters: ["./tally.mjs"],
  },
})
