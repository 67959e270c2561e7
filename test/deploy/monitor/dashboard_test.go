package monitor

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// expressions are those of the rules and of the dashboard, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range rules(t) {
		all["rule "+r.Alert+r.Record+" "+r.Labels["severity"]] = r.Expr
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy", "grafana", "mainstem.json")), &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all["panel "+p.Title+" "+target.RefID] = filled(target.Expr)
		}
	}
	for _, a := range board.Annotations.List {
		all["annotation "+a.Name] = filled(a.Expr)
	}
	if len(all) < 80 {
		t.Fatalf("%d expressions: the test looks at the wrong place", len(all))
	}
	return all
}

// filled is an expression as Grafana sends it.
func filled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$instance", ".*").Replace(expr)
}

// metricForm finds the metrics in an expression: nothing else begins like that.
var metricForm = regexp.MustCompile(`\b(?:mainstem|go|process)_[a-z0-9_]+`)

// ruleForm finds what recording rules make.
var ruleForm = regexp.MustCompile(`\bmainstem:[a-z0-9_:]+`)

// TestWhatIsRecordedIsUsedAndWhatIsUsedIsRecorded. It always runs.
func TestWhatIsRecordedIsUsedAndWhatIsUsedIsRecorded(t *testing.T) {
	used, recorded := map[string]bool{}, map[string]bool{}
	for _, expr := range expressions(t) {
		for _, name := range ruleForm.FindAllString(expr, -1) {
			used[name] = true
		}
	}
	for _, r := range rules(t) {
		if r.Record != "" {
			recorded[r.Record] = true
		}
	}
	for name := range used {
		if !recorded[name] {
			t.Errorf("%s is used and not recorded", name)
		}
	}
	if spare := slices.DeleteFunc(keys(recorded), func(name string) bool { return used[name] }); len(spare) > 1 {
		t.Errorf("recorded for nobody: %q", spare)
	}
}

func keys(m map[string]bool) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
