package test

import (
	"context"
	"fmt"
	"net/http"
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
var raised = []harness.Edit{
	{File: "stream/level.go", Before: "Level = LevelSlots\n)", After: "Level = LevelSlots + 1\n)"},
	{File: "stream/level.go", Before: "levelIfMatch   = LevelOldest", After: "levelIfMatch   = LevelSlots + 1"},
	{File: "storage/record.go", Before: "recordVersion      = 2", After: "recordVersion      = 3"},
	{File: "storage/record.go", Before: "recordVersionPlain = 1", After: "recordVersionPlain = 3"},
}

// TestAClusterIsRolledToANewerVersionUnderLoad rolls three nodes of this version to
// one that writes another format and knows a command more. No append fails. While
// versions are mixed the new command is refused, with a sentence, and harms nobody;
// afterwards it is taken. The data is then not opened by the version before.
func TestAClusterIsRolledToANewerVersionUnderLoad(t *testing.T) {
	harness.Require(t)
	newer := harness.BuildEdited(t, raised...)
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
// each, all nodes are given commands of every kind, and their copies have to be equal:
// what versions do differently shows while they are mixed, and may be gone when they
// no longer are. Then it calls check with how many have been replaced.
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
		l.quietly(func() {
			for _, n := range c.Nodes {
				commandsOfEveryKind(t, n, fmt.Sprintf("kinds/%d/%s", i, n.ID))
			}
			c.WaitEqual()
		})
		check(i + 1)
	}
	l.waitAcks(acksPerRound)
	l.finish()
	l.check(c)
	t.Logf("rolled; longest gap between acknowledgements %v", l.gap.Longest())
}

// commandsOfEveryKind has a node take, or refuse, what there is to ask of streams;
// retention and subscriptions are left out.
func commandsOfEveryKind(t *testing.T, n *harness.Node, under string) {
	t.Helper()
	c := n.Client()
	defer c.CloseIdle()
	plain, closes := []string{"Content-Type", text}, []string{"Content-Type", text, "Stream-Closed", "true"}
	from := harness.StreamPath(under + "/plain")
	producer := func(seq string) []string {
		return append(plain[:2:2], "Producer-Id", "p", "Producer-Epoch", "1", "Producer-Seq", seq)
	}
	for i, want := range []struct {
		method, stream string
		headers        []string
		body           string
		status         int
	}{
		{"PUT", "/plain", plain, "one", 201},
		{"POST", "/plain", plain, "two", 204},
		{"POST", "/plain", producer("0"), "three", 200},
		{"POST", "/plain", producer("1"), strings.Repeat("four ", 20_000), 200},
		{"POST", "/plain", producer("1"), "four", 204},
		{"POST", "/plain", producer("3"), "six", 409},
		{"POST", "/plain", append(plain[:2:2], "Stream-Seq", "a"), "five", 204},
		{"POST", "/plain", append(plain[:2:2], "Stream-Seq", "a"), "five", 409},
		{"PUT", "/lives", append(plain[:2:2], "Stream-TTL", "3600"), "", 201},
		{"POST", "/lives", plain, "longer", 204},
		{"PUT", "/json", []string{"Content-Type", "application/json"}, "[1,2]", 201},
		{"POST", "/json", []string{"Content-Type", "application/json"}, "[3,[4]]", 204},
		{"PUT", "/fork", []string{"Stream-Forked-From", from}, "", 201},
		{"POST", "/fork", plain, "of its own", 204},
		{"DELETE", "/plain", nil, "", 204},
		{"PUT", "/again", plain, "x", 201},
		{"DELETE", "/again", nil, "", 204},
		{"PUT", "/again", plain, "y", 201},
		{"POST", "/again", closes, "end", 204},
		{"POST", "/again", plain, "late", 409},
	} {
		a, err := c.Do(context.Background(), want.method, harness.StreamPath(under+want.stream), harness.Headers(want.headers...), strings.NewReader(want.body))
		if err != nil || a.Status != want.status {
			t.Fatalf("request %d, %s %s through %s: %s, %v; want %d", i, want.method, under+want.stream, n.ID, a, err, want.status)
		}
	}
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
	for _, part := range []string{"log.json has format 3 and this version reads 2", "written by a newer version of mainstem", "start the version that wrote it"} {
		if !strings.Contains(n.Log(), part) {
			t.Fatalf("want %q in what it says:\n%s", part, n.Log())
		}
	}
}
