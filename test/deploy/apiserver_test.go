package deploy

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// known leaves out what only the Prometheus operator's definitions describe, and
// hooks unless they are wanted: helm does not update those, but makes them anew.
func known(t *testing.T, rendered string, hooks bool) string {
	t.Helper()
	var b strings.Builder
	for _, o := range parse(t, rendered) {
		if o["apiVersion"] == operatorAPI || !hooks && o.at("metadata", "annotations", "helm.sh/hook") != nil {
			continue
		}
		text, err := yaml.Marshal(map[string]any(o))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n" + string(text))
	}
	return b.String()
}

// TestAnAPIServerTakesEveryRendering has a real API server judge each set of
// values, with strict fields and the restricted standard for pods, first as an
// installation and then as an upgrade of the default one.
func TestAnAPIServerTakesEveryRendering(t *testing.T) {
	c := startControlPlane(t)
	c.makeReferred()
	apply := func(values string, hooks bool, more ...string) (string, error) {
		args := append([]string{"apply", "--namespace", namespace, "--validate=strict", "-f", "-"}, more...)
		return c.kubectl(known(t, render(t, values), hooks), args...)
	}
	all := func(t *testing.T, hooks bool, wrong map[string]string) {
		for name, values := range matrix {
			out, err := apply(values, hooks, "--dry-run=server")
			if because := wrong[name]; because != "" {
				if err == nil || !strings.Contains(out, because) {
					t.Errorf("%s: got %v, want a refusal that says %q:\n%s", name, err, because, out)
				}
				continue
			}
			if err != nil || strings.Contains(out, "Warning") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
	t.Run("installation", func(t *testing.T) { all(t, true, nil) })
	t.Run("upgrade", func(t *testing.T) {
		if out, err := apply("", false); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		all(t, false, map[string]string{"storage": "updates to statefulset spec"})
	})
	broken := strings.Replace(known(t, render(t, ""), false), "podManagementPolicy:", "podManagementPolice:", 1)
	if out, err := c.kubectl(broken, "apply", "--namespace", namespace, "--validate=strict", "--dry-run=server", "-f", "-"); err == nil {
		t.Errorf("a field that does not exist was taken:\n%s", out)
	}
}

// makeReferred makes what the server looks for when it judges a pod, which a dry
// run of the same file has not made.
func (c *controlPlane) makeReferred() {
	c.t.Helper()
	const referred = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: mainstem}}\n---\n" +
		"{apiVersion: v1, kind: ServiceAccount, metadata: {name: streams}}\n---\n" +
		"{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}\n"
	if out, err := c.kubectl(referred, "apply", "--namespace", namespace, "-f", "-"); err != nil {
		c.t.Fatalf("%v\n%s", err, out)
	}
}
