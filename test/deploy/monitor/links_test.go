package monitor

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mainstem/test/harness"
)

var (
	linkForm    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingForm = regexp.MustCompile(`(?m)^#+ (.+)$`)
	anchorDrops = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// TestLinksOfTheDocumentationLeadSomewhere, to headings too: a runbook is read when
// there is no time to search. It always runs.
func TestLinksOfTheDocumentationLeadSomewhere(t *testing.T) {
	root := harness.Root(t)
	pages := []string{filepath.Join(root, "README.md")}
	for _, pattern := range []string{"docs/*.md", "docs/runbooks/*.md", "docs/adr/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	if len(pages) < 50 {
		t.Fatalf("%d pages: the test looks at the wrong place", len(pages))
	}
	for _, page := range pages {
		for _, m := range linkForm.FindAllStringSubmatch(content(t, page), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), filepath.FromSlash(path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
				continue
			}
			if anchor != "" && !anchors(content(t, target))[anchor] {
				t.Errorf("%s: %s names no heading", page, m[1])
			}
		}
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anchors are those that a page's headings have.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range headingForm.FindAllStringSubmatch(page, -1) {
		plain := anchorDrops.ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return out
}
