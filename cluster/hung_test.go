package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// TestALeaderWhoseDiskHangsIsReplaced: a disk that does not come back is a lost
// node, but for a leader that nobody tells so.
func TestALeaderWhoseDiskHangsIsReplaced(t *testing.T) {
	tests := map[string]struct {
		hangs    time.Duration
		replaced bool
	}{
		"for long":     {time.Minute, true},
		"for a moment": {700 * time.Millisecond, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disks := map[string]*hold{"n1": {}, "n2": {}, "n3": {}}
				o := options()
				o.Stores = func(id string) cluster.Stores {
					s := clustertest.NewStores()
					s.Log = heldLog{s.Log, disks[id], 0}
					return s
				}
				c := clustertest.Of(t, 3, o)
				old, follower := c.WaitLeader(), c.Follower()
				term := old.Term()
				disks[old.ID].close()
				time.AfterFunc(tt.hangs, disks[old.ID].open)
				start := time.Now()
				submit(t, follower, "while it hangs")
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("an append through another node took %v", took)
				}
				time.Sleep(2 * tt.hangs)
				c.WaitReady()
				if got := c.WaitLeader().Term() != term; got != tt.replaced {
					t.Errorf("the term has changed from %d to %d, want that %v", term, c.WaitLeader().Term(), tt.replaced)
				}
				submit(t, old, "after it")
				fenceAll(t, c)
				for _, id := range c.IDs() {
					if got := logOf(c.Node(id)); len(got) != 2 {
						t.Errorf("%s has applied %v", id, got)
					}
				}
			})
		})
	}
}
