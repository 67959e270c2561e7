package cluster

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// hungElections is for how many election timeouts one write to the log may be
	// under way before its disk is said to hang.
	hungElections = 2
	// hungPause is the time between looks whether it still does.
	hungPause = 20 * time.Millisecond
)

// watchedLog knows when a write has not come back for long. Raft's leader waits
// for its own disk in the one loop that would also make it step down, while
// other goroutines go on to tell the followers that it is well.
type watchedLog struct {
	raft.LogStore
	limit time.Duration
	log   *slog.Logger
	start time.Time
	began atomic.Int64 // of the write under way, since start and never 0; 0 for none
}

func newWatchedLog(s raft.LogStore, limit time.Duration, log *slog.Logger) *watchedLog {
	return &watchedLog{LogStore: s, limit: limit, log: log, start: time.Now()}
}

// IsMonotonic passes on what the inner store says.
func (w *watchedLog) IsMonotonic() bool {
	m, ok := w.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// StoreLog implements raft.LogStore.
func (w *watchedLog) StoreLog(l *raft.Log) error { return w.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. Raft calls it from one goroutine.
func (w *watchedLog) StoreLogs(logs []*raft.Log) error {
	began := time.Since(w.start)
	w.began.Store(int64(began) + 1)
	err := w.LogStore.StoreLogs(logs)
	w.began.Store(0)
	if took := time.Since(w.start) - began; took > w.limit {
		w.log.Warn("the disk did not answer a write to the raft log for long; a leader is replaced meanwhile", "took", took, "limit", w.limit)
	}
	return err
}

// hangs reports that a write has been under way for longer than the limit.
func (w *watchedLog) hangs() bool {
	began := w.began.Load()
	return began != 0 && time.Since(w.start)-time.Duration(began) > w.limit
}

// awaitDisk keeps a message of a leader back while its disk hangs: followers that
// hear nothing elect another, whose disk may be well. What is kept back does not
// fail, or raft would wait for long before the next.
func (t *transport) awaitDisk(id raft.ServerID, term uint64) {
	for t.disk.hangs() && t.leads(id, term) {
		select {
		case <-time.After(hungPause):
		case <-t.done:
			return
		}
	}
}
