package monitor

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rulesFile is what Prometheus reads, as far as it is looked at here.
type rulesFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var f rulesFile
	if err := yaml.Unmarshal([]byte(read(t, "deploy", "prometheus", "mainstem.rules.yml")), &f); err != nil {
		t.Fatal(err)
	}
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// alertNames are what operators are told; docs/runbooks has a page for each.
var alertNames = []string{"AppendErrorBudgetBurn", "ApplyLag", "BackupStale", "CertificateExpiry", "ClockSkew", "CorruptionDetected", "DeliveryLag",
	"DiskWatermark", "DiskWillFill", "FsyncSlow", "LeaderFlapping", "MemberDown", "NoLeader", "QuorumAtRisk", "ReplicaDivergence"}

// TestEachAlertSaysWhatItIsAndWhatToDo. It needs no program, and always runs.
func TestEachAlertSaysWhatItIsAndWhatToDo(t *testing.T) {
	var seen []string
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		name := strings.TrimPrefix(r.Alert, "Mainstem")
		seen = append(seen, name)
		if want := "docs/runbooks/" + name + ".md"; r.Annotations["runbook_url"] != want {
			t.Errorf("%s: got runbook %q, want %q", name, r.Annotations["runbook_url"], want)
			continue
		}
		page := read(t, filepath.FromSlash(r.Annotations["runbook_url"]))
		for _, part := range []string{"# " + name + "\n", "\n## Look\n", "\n## Do\n"} {
			if !strings.Contains(page, part) {
				t.Errorf("the runbook of %s has no %q", name, part)
			}
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) {
			t.Errorf("%s: got %v and %v", name, r.Annotations, r.Labels)
		}
	}
	slices.Sort(seen)
	if got := slices.Compact(seen); !slices.Equal(got, alertNames) {
		t.Errorf("got alerts %q, want %q", got, alertNames)
	}
}

// TestEachAlertIsTestedBothWays: somewhere it fires, and somewhere it does not. It
// reads what promtool will run.
func TestEachAlertIsTestedBothWays(t *testing.T) {
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, file := range ruleTests {
		var f struct {
			Tests []struct {
				Expr []struct {
					Expr    string
					Samples []any `yaml:"exp_samples"`
				} `yaml:"promql_expr_test"`
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, "deploy", "prometheus", file)), &f); err != nil {
			t.Fatal(err)
		}
		for _, test := range f.Tests {
			for _, e := range test.Expr {
				name := regexp.MustCompile(`alertname="Mainstem(\w+)"`).FindStringSubmatch(e.Expr)[1]
				(map[bool]map[string]bool{true: fires, false: rests})[len(e.Samples) > 0][name] = true
			}
		}
	}
	for _, name := range alertNames {
		if !fires[name] || !rests[name] {
			t.Errorf("%s: tested to fire: %v, tested to rest: %v", name, fires[name], rests[name])
		}
	}
}

var ruleTests = []string{"mainstem.rules.test.yml", "mainstem.rules.slow.test.yml"}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	promtool := tool(t, "promtool")
	run(t, "", promtool, "check", "rules", inRepository(t, "deploy", "prometheus", "mainstem.rules.yml"))
	for _, file := range ruleTests {
		run(t, "", promtool, "test", "rules", inRepository(t, "deploy", "prometheus", file))
	}
	dir := t.TempDir() // as it lies in the container
	for _, path := range []string{"deploy/compose/prometheus.yml", "deploy/prometheus/mainstem.rules.yml"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(read(t, path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := run(t, "", promtool, "check", "config", filepath.Join(dir, "prometheus.yml")); !strings.Contains(out, "rules found") {
		t.Errorf("the configuration of compose has no rules: %s", out)
	}
}
