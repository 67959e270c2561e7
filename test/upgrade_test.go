package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	levelsWithin     = 10 * time.Second // until all nodes know that all have been upgraded
	notStartedWithin = 20 * time.Second // until a node ends that may not start
)

// raised are the edits that make a newer version of this tree: it writes another
// format on disk, and has a command of a level that this one does not know.
var raised = []struct{ file, before, after string }{
	{"stream/level.go", "Level = LevelOldest\n)", "Level = LevelOldest + 1\n)"},
	{"stream/level.go", "levelIfMatch   = LevelOldest", "levelIfMatch   = LevelOldest + 1"},
	{"storage/sealed.go", "const formatVersion = 1", "const formatVersion = 2"},
}

// newerProgram builds this tree with the raised edits laid over it.
func newerProgram(t *testing.T) string {
	t.Helper()
	dir, top := t.TempDir(), harness.Root(t)
	texts := map[string]string{}
	for _, e := range raised {
		text, known := texts[e.file]
		if !known {
			b, err := os.ReadFile(filepath.Join(top, e.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.before); n != 1 {
			t.Fatalf("%q stands %d times in %s, want once; fit the newer version to the code", e.before, n, e.file)
		}
		texts[e.file] = strings.Replace(text, e.before, e.after, 1)
	}
	var replace []string
	for file, text := range texts {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		replace = append(replace, fmt.Sprintf("%q: %q", filepath.Join(top, file), to))
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace": {%s}}`, strings.Join(replace, ", ")), 0o644); err != nil {
		t.Fatal(err)
	}
	return buildProgram(t, top, filepath.Join(dir, "mainstem"), "-overlay", overlay)
}

// buildProgram builds the program of a tree, as make does, so that what it needs of
// others' packages has been built already.
func buildProgram(t *testing.T, top, to string, args ...string) string {
	t.Helper()
	began := time.Now()
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath"}, args...), "-o", to, "./cmd/mainstem")...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", top, err, out)
	}
	t.Logf("built in %v", time.Since(began).Round(time.Second))
	return to
}

// TestAClusterIsRolledToANewerVersionUnderLoad rolls three nodes of this version to
// one that writes another format and knows a command more. No append fails. While
// versions are mixed the new command is refused, with a sentence, and harms nobody;
// afterwards it is taken. The data is then not opened by the version before.
func TestAClusterIsRolledToANewerVersionUnderLoad(t *testing.T) {
	harness.Require(t)
	newer := newerProgram(t)
	c := harness.StartCluster(t, 3)
	createGuarded(t, c.Nodes[0])
	roll(t, c, newer, func(done int) {
		for _, n := range c.Nodes[:done] {
			if done < len(c.Nodes) {
				wantUnfinished(t, n)
				continue
			}
			harness.Eventually(t, levelsWithin, "the new command is taken by "+n.ID, func() error {
				a, err := appendAtTail(n)
				if err == nil && a.Status != http.StatusNoContent {
					err = fmt.Errorf("answered %s", a)
				}
				return err
			})
		}
	})
	goBack(t, c.Nodes[2])
	c.Nodes[2].Program = newer
	c.Nodes[2].Start()
	c.WaitReady()
	c.WaitEqual()
}

// roll replaces the program of one node after the other under plain appends. After
// each it calls check with how many have been replaced.
func roll(t *testing.T, c *harness.Cluster, program string, check func(done int)) {
	t.Helper()
	l := startPlain(t, c.URLs())
	l.waitAcks(acksPerRound)
	for i, n := range c.Nodes {
		n.Stop()
		n.Program = program
		n.Start()
		n.WaitReady()
		l.waitAcks(acksPerRound)
		check(i + 1)
	}
	l.waitAcks(acksPerRound)
	l.finish()
	l.check(c)
	t.Logf("rolled; longest gap between acknowledgements %v", l.gap.Longest())
}

func createGuarded(t *testing.T, n *harness.Node) {
	t.Helper()
	a, err := n.Client().Create("guarded", harness.Headers("Content-Type", text), "")
	if err != nil || a.Status != http.StatusCreated {
		t.Fatalf("create: %s, %v", a, err)
	}
}

// appendAtTail appends one byte if the tail is where it is.
func appendAtTail(n *harness.Node) (harness.Answer, error) {
	head, err := n.Client().Head("guarded", nil)
	if err != nil {
		return head, err
	}
	tag := `"` + head.Header.Get("Stream-Next-Offset") + `"`
	return n.Client().Append("guarded", harness.Headers("Content-Type", text, "If-Match", tag), "x")
}

func wantUnfinished(t *testing.T, n *harness.Node) {
	t.Helper()
	a, err := appendAtTail(n)
	if err != nil || a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Fatalf("a command that older members do not know, through %s: %s, %v; want 503", n.ID, a, err)
	}
	for _, part := range []string{"UPGRADE_UNFINISHED", "nothing was written", "/v1/cluster/status"} {
		if !strings.Contains(string(a.Body), part) {
			t.Fatalf("%s answered %s, want %q in it", n.ID, a, part)
		}
	}
}

// goBack starts the version under test on what a newer one has written.
func goBack(t *testing.T, n *harness.Node) {
	t.Helper()
	n.Stop()
	n.Program = ""
	n.Start()
	if code := n.Exit(notStartedWithin); code == 0 {
		t.Fatal("it ended with 0 over the data of a newer version, want another code")
	}
	for _, part := range []string{"has format 2 and this version reads 1", "written by a newer version of mainstem", "start the version that wrote it"} {
		if !strings.Contains(n.Log(), part) {
			t.Fatalf("want %q in what it says:\n%s", part, n.Log())
		}
	}
}
