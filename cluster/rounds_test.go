package cluster_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"mainstem/cluster/clustertest"
)

// What three nodes send at the same time shares entries at the leader.
func TestBatchesOfSeveralNodesShareEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		for _, id := range c.IDs() {
			submit(t, c.Node(id), "opens its session")
		}
		fenceAll(t, c)
		before := c.WaitLeader().Machine.Applied()
		batchesBefore := c.WaitLeader().Machine.(*clustertest.Counter).Entries()
		const writers, each = 8, 50
		var wg sync.WaitGroup
		for _, id := range c.IDs() {
			for w := range writers {
				wg.Go(func() {
					for i := range each {
						submit(t, c.Node(id), fmt.Sprint(id, w, i))
					}
				})
			}
		}
		wg.Wait()
		fenceAll(t, c)
		const commands = 3 * writers * each
		if got := len(logOf(c.WaitLeader())); got != commands+3 {
			t.Fatalf("%d commands applied, want %d", got, commands+3)
		}
		// How many share depends on the scheduler; without rounds none would.
		entries := int(c.WaitLeader().Machine.Applied() - before)
		batches := c.WaitLeader().Machine.(*clustertest.Counter).Entries() - batchesBefore
		t.Logf("%d commands in %d batches in %d entries", commands, batches, entries)
		if entries >= batches {
			t.Fatalf("%d entries for %d batches", entries, batches)
		}
	})
}
