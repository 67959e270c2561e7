package test

import (
	"os"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

// TestANormalLifeLogsNoWarning starts three nodes, restarts each, adds a fourth
// and stops all: an operator who is woken by a warning is not woken by that.
func TestANormalLifeLogsNoWarning(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, steadyRaft...)
	if a, err := c.Nodes[0].Client().Create("quiet", harness.Headers("Content-Type", text), "x"); err != nil || a.Status != 201 {
		t.Fatalf("create: %s, %v", a, err)
	}
	for _, n := range c.Nodes {
		n.Stop()
		time.Sleep(apartBy) // until the others notice
		n.Start()
		n.WaitReady()
	}
	fourth := harness.NewNode(t, harness.Dir(t), "n4")
	fourth.Join, fourth.Args = []string{c.Nodes[0].GossipAddr}, steadyRaft
	fourth.Start()
	fourth.WaitReady()
	waitVoter(t, c.Nodes[0], "n4")
	all := append(c.Nodes, fourth)
	for _, n := range all {
		n.Terminate()
	}
	for _, n := range all {
		n.Exit(stopTogetherWithin)
	}
	for _, n := range all {
		said, err := os.ReadFile(n.LogPath)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(said)) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				t.Errorf("%s: %s", n.ID, line)
			}
		}
	}
}
