package cluster

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// recentEntries is how many of the newest entries are remembered by type and
// size.
const recentEntries = 16 << 10

// typedLog wraps the log store to find which entries reach the machine: raft
// gives it commands and configurations, but not its own noops and barriers. A
// wait for one of those would never end.
type typedLog struct {
	raft.LogStore

	mu      sync.Mutex // guards what follows
	recent  [recentEntries]typedIndex
	last    uint64 // the newest entry stored by this process
	bytes   uint64 // stored by this process
	marked  uint64 // bytes at the last mark
	scanned uint64 // everything up to here is known ...
	found   uint64 // ... and this is its last entry for the machine, 0 for none
}

type typedIndex struct {
	index uint64
	bytes uint64 // of the log up to here, as counted by this process
	kind  raft.LogType
}

// errCompacted says that no entry for the machine is left in the log.
var errCompacted = errors.New("the log holds no entry for the machine at or below the commit index")

func newTypedLog(s raft.LogStore) *typedLog { return &typedLog{LogStore: s} }

// IsMonotonic passes on what the inner store says.
func (t *typedLog) IsMonotonic() bool {
	m, ok := t.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

func (t *typedLog) StoreLog(l *raft.Log) error { return t.StoreLogs([]*raft.Log{l}) }

func (t *typedLog) StoreLogs(logs []*raft.Log) error {
	if err := t.LogStore.StoreLogs(logs); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range logs {
		t.bytes += uint64(len(l.Data))
		t.last = l.Index
		t.recent[l.Index%recentEntries] = typedIndex{l.Index, t.bytes, l.Type}
	}
	return nil
}

// grown is how many bytes were stored since the last mark.
func (t *typedLog) grown() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes - t.marked
}

// total is how many bytes this process has stored.
func (t *typedLog) total() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}

// newestIndex is that of the newest entry stored by this process.
func (t *typedLog) newestIndex() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

func (t *typedLog) mark() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marked = t.bytes
}

// newest is how many of the last entries hold at most the given bytes: most, if
// no more are known.
func (t *typedLog) newest(bytes, most uint64) (n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.last; n < most && i > 0; i-- {
		r := t.recent[i%recentEntries]
		if r.index != i {
			return most
		}
		if t.bytes-r.bytes > bytes {
			return n
		}
		n++
	}
	return most
}

// lastForMachine returns the index of the last command or configuration at or
// below commit, which must be committed: such entries never change, so what was
// found once is kept.
func (t *typedLog) lastForMachine(commit uint64) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if commit <= t.scanned {
		if t.found == 0 || t.found > commit {
			return 0, errCompacted
		}
		return t.found, nil
	}
	for i := commit; i > t.scanned; i-- {
		kind, err := t.kindOf(i)
		if errors.Is(err, raft.ErrLogNotFound) {
			return 0, errCompacted
		}
		if err != nil {
			return 0, fmt.Errorf("look at raft log entry %d: %w", i, err)
		}
		if kind == raft.LogCommand || kind == raft.LogConfiguration {
			t.scanned, t.found = commit, i
			return i, nil
		}
	}
	if t.found == 0 {
		return 0, errCompacted
	}
	t.scanned = commit
	return t.found, nil
}

func (t *typedLog) kindOf(index uint64) (raft.LogType, error) {
	if r := t.recent[index%recentEntries]; r.index == index {
		return r.kind, nil
	}
	var l raft.Log
	err := t.LogStore.GetLog(index, &l)
	return l.Type, err
}
