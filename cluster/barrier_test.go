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
	close(h.shut)
	h.shut = nil
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

		rest := []string{}
		for _, id := range c.IDs() {
			if id != old.ID {
				rest = append(rest, id)
			}
		}
		if len(logOf(c.Node(rest[0])))+len(logOf(c.Node(rest[1]))) > 0 {
			t.Fatal("the followers know that it is committed: this test shows nothing")
		}
		// What they will store from now on waits; to vote is another store.
		disks[rest[0]].close()
		disks[rest[1]].close()
		c.Net.Isolate(old.ID, c.IDs()...)
		time.Sleep(20 * time.Second)
		for _, id := range rest {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if err := c.Node(id).Fence(ctx); err == nil && len(logOf(c.Node(id))) == 0 {
				t.Errorf("%s gave a fence and has not applied what was acknowledged", id)
			}
			cancel()
		}
		disks[rest[0]].open()
		disks[rest[1]].open()
		next := c.WaitLeader(rest...)
		fence(t, next)
		if got := logOf(next); len(got) != 1 {
			t.Fatalf("after its fence the new leader has applied %v", got)
		}
	})
}
