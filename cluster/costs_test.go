package cluster_test

import (
	"testing"

	"mainstem/cluster/clustertest"
)

// What the way into the log and back allocates must not creep up: on one node, for
// an append that goes alone, with all that raft does for its entry.
func TestASubmitAllocatesLittle(t *testing.T) {
	const most = 55
	c := clustertest.Of(t, 1, options())
	n := c.WaitLeader()
	submit(t, n, "opens its session")
	got := testing.AllocsPerRun(200, func() { submit(t, n, "x") })
	t.Logf("%v allocations", got)
	if got > most {
		t.Fatalf("%v allocations for an append, at most %v are due", got, most)
	}
}
