import { writeFileSync } from "node:fs"

// Tally is a vitest reporter that writes what happened to each test as JSON to
// the file named by CONFORMANCE_REPORT. The built-in JSON reporter does not say
// how often a test was tried again.
export default class Tally {
  onTestRunEnd(modules, errors) {
    const report = { passed: 0, failed: 0, skipped: 0, retries: 0, failures: [] }
    report.errors = errors.map(explain)
    for (const module of modules) {
      report.errors.push(...module.errors().map(explain))
      for (const test of module.children.allTests()) this.count(report, test)
    }
    writeFileSync(process.env.CONFORMANCE_REPORT, JSON.stringify(report, null, 2))
  }

  count(report, test) {
    const result = test.result()
    const tries = test.diagnostic()
    report.retries += (tries?.retryCount ?? 0) + (tries?.repeatCount ?? 0)
    switch (result.state) {
      case "passed":
        report.passed++
        break
      case "failed":
        report.failed++
        report.failures.push({ name: test.fullName, errors: result.errors.map(explain) })
        break
      default: // skipped, or left pending by a run that broke off
        report.skipped++
    }
  }
}

function explain(error) {
  return String(error.stack ?? error.message ?? error).slice(0, 2000)
}
