package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

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

// TestTheDisksOfAQuorumWorkSideBySide: the leader's own write does not come
// before those of the followers, but beside them.
func TestTheDisksOfAQuorumWorkSideBySide(t *testing.T) {
	const takes = 200 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Stores = func(string) cluster.Stores {
			s := clustertest.NewStores()
			s.Log = slowLog{s.Log, takes}
			return s
		}
		c := clustertest.Of(t, 3, o)
		leader := c.WaitLeader()
		submit(t, leader, "the first, after which all is quiet")
		time.Sleep(time.Minute)
		start := time.Now()
		submit(t, leader, "timed")
		if took := time.Since(start); took < takes || took >= 2*takes {
			t.Errorf("an append took %v with disks that take %v", took, takes)
		}
	})
}

// slowLog is on a disk that takes its time.
type slowLog struct {
	raft.LogStore
	takes time.Duration
}

func (l slowLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l slowLog) StoreLogs(entries []*raft.Log) error {
	time.Sleep(l.takes)
	return l.LogStore.StoreLogs(entries)
}
