package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestKubeScoreFindsNothing has kube-score judge every rendering. Of its rules
// two are not followed, see docs/adr/0037: a limit of processor time, and a pull
// of the image at each start.
func TestKubeScoreFindsNothing(t *testing.T) {
	score := tool(t, "kube-score")
	for name, values := range matrix {
		if name == "little" { // leaves out what it asks for
			continue
		}
		t.Run(name, func(t *testing.T) {
			out, err := run(render(t, values), score, "score", "--output-format", "ci", "--kubernetes-version", "v1.36",
				"--ignore-container-cpu-limit", "--ignore-test", "container-image-pull-policy", "--exit-one-on-warning", "-")
			if err != nil {
				t.Errorf("%v\n%s", err, complaints(out))
			}
			if !strings.Contains(out, "[OK]") {
				t.Errorf("it judged nothing:\n%s", out)
			}
		})
	}
}

func complaints(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "[OK]") && !strings.HasPrefix(line, "[SKIPPED]") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestKubectlValidateTakesEveryObject checks all fields against the schemas that
// are in kubectl-validate. What the Prometheus operator defines is not in there.
func TestKubectlValidateTakesEveryObject(t *testing.T) {
	validate := tool(t, "kubectl-validate")
	dir := t.TempDir()
	files := 0
	for name, values := range matrix {
		for i, o := range parse(t, render(t, values)) {
			if o["apiVersion"] == operatorAPI {
				continue
			}
			text, err := yaml.Marshal(map[string]any(o))
			if err != nil {
				t.Fatal(err)
			}
			file := fmt.Sprintf("%s-%02d.yaml", strings.ReplaceAll(name, " ", "-"), i)
			if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
				t.Fatal(err)
			}
			files++
		}
	}
	out, err := run("", validate, "--version", validateVersion, dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%d objects of %d renderings", files, len(matrix))
	broken := strings.Replace(render(t, ""), "podManagementPolicy:", "podManagementPolice:", 1)
	if err := os.WriteFile(filepath.Join(dir, "broken.yaml"), []byte(statefulSetOf(t, broken)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run("", validate, "--version", validateVersion, filepath.Join(dir, "broken.yaml")); err == nil {
		t.Error("a field that does not exist was taken")
	}
}

func statefulSetOf(t *testing.T, rendered string) string {
	t.Helper()
	out, err := yaml.Marshal(map[string]any(find(t, parse(t, rendered), "StatefulSet")))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// validateVersion is the newest that kubectl-validate has schemas of.
const validateVersion = "1.30"
