package monitor

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// labelForm finds the names of labels.
var labelForm = regexp.MustCompile(`[{,]([a-z_]+)="`)

// wantTable wants docs/metrics.md to list what the nodes show. MAINSTEM_UPDATE=1
// writes it.
func wantTable(t *testing.T, pages []string) {
	t.Helper()
	want := "# Metrics\n\nWhat `/metrics` shows, written from what three nodes show: the test that compares them is in `test/deploy/monitor`, and\n" +
		"`MAINSTEM_UPDATE=1 make deploy-test` writes this anew. Beside these there are those of the Go runtime (`go_`) and of the process\n" +
		"(`process_`). What is told by member, or by certificate, is there when there is one.\n\n| metric | kind | labels | what it is |\n|---|---|---|---|\n"
	for _, row := range rows(pages) {
		want += row + "\n"
	}
	if os.Getenv("MAINSTEM_UPDATE") != "" {
		if err := os.WriteFile(inRepository(t, "docs", "metrics.md"), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := strings.Split(read(t, "docs", "metrics.md"), "\n")
	for _, line := range strings.Split(want, "\n") {
		if !slices.Contains(got, line) {
			t.Errorf("docs/metrics.md lacks %q", line)
		}
	}
	for _, line := range got {
		if name, row := strings.CutPrefix(line, "| `"); row && !strings.Contains(want, "| `"+name[:strings.Index(name, "`")+1]) {
			t.Errorf("docs/metrics.md has a row that no node shows: %q", line)
		}
	}
}

// rows are those of the table, one for each family of ours.
func rows(pages []string) (out []string) {
	help, kind, labels := map[string]string{}, map[string]string{}, map[string]map[string]bool{}
	for _, page := range pages {
		for line := range strings.Lines(page) {
			line = strings.TrimSpace(line)
			words := strings.SplitN(line, " ", 4)
			switch {
			case strings.HasPrefix(line, "# HELP mainstem_"):
				help[words[2]] = words[3]
			case strings.HasPrefix(line, "# TYPE mainstem_"):
				kind[words[2]] = words[3]
			case strings.HasPrefix(line, "mainstem_"):
				family := line[:strings.IndexAny(line, "{ ")]
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base, cut := strings.CutSuffix(family, suffix); cut && kind[base] == "histogram" {
						family = base
					}
				}
				if labels[family] == nil {
					labels[family] = map[string]bool{}
				}
				for _, m := range labelForm.FindAllStringSubmatch(line, -1) {
					if m[1] != "le" {
						labels[family]["`"+m[1]+"`"] = true
					}
				}
			}
		}
	}
	for name, text := range help {
		out = append(out, fmt.Sprintf("| `%s` | %s | %s | %s |", name, kind[name], strings.Join(keys(labels[name]), ", "), text))
	}
	slices.Sort(out)
	return out
}
