package monitor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mainstem/test/harness"
)

const envTools = "MAINSTEM_MONITOR" // the directory that setup.sh prints

// require skips the test unless it was asked for, and returns the directory.
func require(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(envTools)
	if dir == "" {
		t.Skipf("run make deploy-test (%s is not set)", envTools)
	}
	return dir
}

// tool returns the path of a program, or skips the test.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(require(t), name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: %s could not be had here: %v", name, err)
	}
	return path
}

// run runs a program to its end, and fails the test if it fails.
func run(t *testing.T, input string, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// inRepository is a path in this checkout.
func inRepository(t *testing.T, path ...string) string {
	return filepath.Join(append([]string{harness.Root(t)}, path...)...)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(inRepository(t, path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
