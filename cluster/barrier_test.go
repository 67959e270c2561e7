package cluster_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// heldLog is a log on a disk that takes some time, and can be made to hang.
type heldLog struct {
	raft.LogStore
	hold *hold
	took time.Duration
}

func (l heldLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l heldLog) StoreLogs(entries []*raft.Log) error {
	l.hold.wait()
	time.Sleep(l.took)
	return l.LogStore.StoreLogs(entries)
}

// hold is a gate that is open until it is shut.
type hold struct {
	mu   sync.Mutex
	shut chan struct{} // nil while open
}

func (h *hold) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shut = make(chan struct{})
}

func (h *hold) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shut != nil {
		close(h.shut)
		h.shut = nil
	}
}

func (h *hold) wait() {
	h.mu.Lock()
	shut := h.shut
	h.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

// A leader has acknowledged an entry whose commit its followers have not heard
// of. Until the next leader knows that it is committed, it gives no fence, though
// a quorum confirms that it leads.
func TestANewLeaderGivesNoFenceFromBeforeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disks := map[string]*hold{"n1": {}, "n2": {}, "n3": {}}
		stores := map[string]cluster.Stores{}
		o := options()
		o.Config = func(_ string, cfg *cluster.Config) { cfg.CommitTimeout = time.Hour }
		o.Machine = func(string, func(uint64, uint64)) cluster.Machine { return clustertest.NewCounter(nil) } // no hints
		o.Stores = func(id string) cluster.Stores {
			if _, ok := stores[id]; !ok {
				stores[id] = clustertest.NewStores()
			}
			s := stores[id]
			s.Log = heldLog{s.Log, disks[id], 0}
			return s
		}
		c := clustertest.Of(t, 3, o)
		old := c.WaitLeader()
		submit(t, old, "acknowledged")

		next := c.Follower()
		if len(logOf(next)) > 0 {
			t.Fatal("the follower knows that it is committed: this test shows nothing")
		}
		// The others vote, which is another store, and store nothing more: what the
		// next leader begins with is not committed.
		for _, id := range c.IDs() {
			if id != next.ID {
				disks[id].close()
				t.Cleanup(disks[id].open)
			}
		}
		if err := old.Transfer(t.Context(), next.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := next.Fence(ctx); err == nil && len(logOf(next)) == 0 {
			t.Error("the new leader gave a fence and has not applied what was acknowledged")
		}
		for _, disk := range disks {
			disk.open()
		}
		fence(t, next)
		if got := logOf(next); len(got) != 1 {
			t.Fatalf("after its fence the new leader has applied %v", got)
		}
	})
}
