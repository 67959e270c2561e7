package harness

import (
	"os"
	"strings"
	"testing"
)

// logLinesShown is how much of a node's log a failed test prints.
const logLinesShown = 40

// showLogOnFailure prints the end of a log when the test has failed.
func showLogOnFailure(t testing.TB, name, path string) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("---- the last lines of %s ----\n%s", name, LogTail(path, logLinesShown))
		}
	})
}

// LogTail returns the last lines of a file, or why there are none.
func LogTail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
