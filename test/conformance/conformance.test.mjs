import { runConformanceTests } from "@durable-streams/server-conformance-tests"

const baseUrl = process.env.CONFORMANCE_TEST_URL
if (!baseUrl) throw new Error("CONFORMANCE_TEST_URL names no server")

runConformanceTests({ baseUrl, subscriptions: true, longPollTimeoutMs: 500 })
