package deploy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	envTools = "MAINSTEM_DEPLOY" // the directory that setup.sh prints
	chart    = "../../deploy/helm/mainstem"
	release  = "mainstem"
	// kubeVersion is that of the API server in tools/go.mod.
	kubeVersion = "1.36.3"
)

// tool returns the path of a program, or skips the test.
func tool(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv(envTools)
	if dir == "" {
		t.Skipf("judges the chart; run make deploy-test (%s is not set)", envTools)
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: %s could not be built here: %v", name, err)
	}
	return path
}

// run returns what a program prints to standard output; the error holds what it
// prints to standard error.
func run(input, path string, args ...string) (string, error) {
	cmd := exec.Command(path, args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), err, problems.String())
	}
	return out.String(), nil
}

// render is the chart with values, as an upgrade shows it, so that hooks are seen.
func render(t *testing.T, values string) string {
	t.Helper()
	out, err := tryRender(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryRender(t *testing.T, values string) (string, error) {
	t.Helper()
	return run(values, tool(t, "helm"), "template", release, chart, "--namespace", "streams",
		"--kube-version", kubeVersion, "--is-upgrade", "--values", "-")
}
