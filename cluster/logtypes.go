package cluster

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// recentTypes is how many of the newest entries' types are remembered.
const recentTypes = 1024

// typedLog wraps the log store to find which entries reach the machine: raft
// gives it commands and configurations, but not its own noops and barriers. A
// wait for one of those would never end.
type typedLog struct {
	raft.LogStore

	mu      sync.Mutex // guards what follows
	recent  [recentTypes]typedIndex
	scanned uint64 // everything up to here is known ...
	found   uint64 // ... and this is its last entry for the machine, 0 for none
}

type typedIndex struct {
	index uint64
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
		t.recent[l.Index%recentTypes] = typedIndex{l.Index, l.Type}
	}
	return nil
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
	if r := t.recent[index%recentTypes]; r.index == index {
		return r.kind, nil
	}
	var l raft.Log
	err := t.LogStore.GetLog(index, &l)
	return l.Type, err
}
