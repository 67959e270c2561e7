package test

import (
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	killsOfOne    = 4
	killsOfAll    = 3
	killsOfLeader = 3
	acksPerRound  = 300 // acknowledgements between two kills
	loadBefore    = 500 * time.Millisecond
)

// A killed process leaves its page cache to the kernel, so these tests show
// that what was acknowledged was written and is found again; that it was on the
// disk is shown by the fsync tests.

func TestKillOfASingleNodeLosesNothing(t *testing.T) {
	harness.Require(t)
	survive(t, 1, killsOfOne, func(c *harness.Cluster) {
		c.Kill()
		c.Start()
		c.WaitReady()
	})
}

func TestKillOfAllThreeNodesLosesNothing(t *testing.T) {
	harness.Require(t)
	survive(t, 3, killsOfAll, func(c *harness.Cluster) {
		c.Kill()
		c.Start()
		c.WaitReady()
	})
}

func TestKillOfTheLeaderLosesNothing(t *testing.T) {
	harness.Require(t)
	survive(t, 3, killsOfLeader, func(c *harness.Cluster) {
		dead := c.Leader()
		dead.Kill()
		if heir := c.Leader(); heir == dead {
			t.Fatalf("%s was killed and is named leader", dead.ID)
		}
		dead.Start()
		dead.WaitReady()
	})
}

// survive runs the load, live readers and the fixtures through a number of
// faults and checks everything that was acknowledged on every node.
func survive(t *testing.T, nodes, rounds int, fault func(*harness.Cluster)) {
	c := harness.StartCluster(t, nodes, "--long-poll-timeout", "2s")
	l := startLoad(t, c.URLs())
	tails := startFollowers(t, c, l)
	f := startFixtures(t, c.URLs())
	for range rounds {
		l.waitAcks(acksPerRound)
		time.Sleep(loadBefore)
		fault(c)
	}
	l.waitAcks(acksPerRound)
	l.finish()
	f.finish()
	l.tell(rounds)

	sum := c.WaitEqual()
	t.Logf("%d copies equal after the load: %+v", len(c.Nodes), sum)
	l.check(c.Nodes)
	tails.check()
	f.check(c.Nodes)

	// Once more from what the disks alone hold.
	c.Kill()
	c.Start()
	c.WaitReady()
	l.check(c.Nodes)
	t.Logf("%d copies equal at the end: %+v", len(c.Nodes), c.WaitEqual())
}
