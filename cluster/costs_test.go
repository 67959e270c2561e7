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

// TestAFenceOfOneNodeAsksNobody: each long-poll begins with a fence, and on one node
// no other goroutine has to be waited for, which would cost an allocation each.
func TestAFenceOfOneNodeAsksNobody(t *testing.T) {
	const most = 4
	c := clustertest.Of(t, 1, options())
	n := c.WaitLeader()
	submit(t, n, "x")
	fence(t, n)
	got := testing.AllocsPerRun(200, func() {
		if err := n.Fence(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v allocations", got)
	if got > most {
		t.Fatalf("%v allocations for a fence, at most %v are due", got, most)
	}
}
