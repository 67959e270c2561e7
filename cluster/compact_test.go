package cluster_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// A log of few and large entries is cut by their bytes, long before their number
// would count, and a member that was away gets the snapshot and what follows.
func TestLogIsCutByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := map[string]cluster.Stores{}
		opts := options()
		opts.Stores = func(id string) cluster.Stores {
			if _, ok := stores[id]; !ok {
				stores[id] = clustertest.NewStores()
			}
			return stores[id]
		}
		opts.Config = func(_ string, c *cluster.Config) { c.SnapshotBytes, c.TrailingBytes = 1<<20, 256<<10 }
		c := clustertest.Of(t, 3, opts)
		away := c.Follower().ID
		c.Stop(away)
		m := c.WaitLeader()
		body := strings.Repeat("x", 100<<10)
		const appends = 40
		for range appends {
			submit(t, m, body)
			time.Sleep(300 * time.Millisecond)
		}
		first, _ := stores[m.ID].Log.FirstIndex()
		last, _ := stores[m.ID].Log.LastIndex()
		if kept := (last - first + 1) * 100 << 10; kept > 2<<20 {
			t.Fatalf("the log keeps %d entries, some %d bytes", last-first+1, kept)
		}
		c.Start(away, 1)
		c.WaitReady(away)
		fence(t, c.Node(away))
		if got := len(logOf(c.Node(away))); got != appends {
			t.Fatalf("the member that was away has %d commands, want %d", got, appends)
		}
	})
}
