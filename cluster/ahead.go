package cluster

import (
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// ahead is the log as a leader writes it: the followers are sent the entries while
// they are written here, and not after. A leader's disk and a follower's then work
// side by side, where an append had to wait for one after the other.
//
// An entry is committed as before: raft counts this node when it has stored the
// entry, and a follower when raft has asked for its answer, which raft does
// later. A leader that dies in between leaves entries at followers that it may not
// have itself, like any that it had sent and nobody had answered.
type ahead struct {
	raft.LogStore
	commit func() uint64 // index, on raft's main goroutine

	mu        sync.Mutex // guards pipelines
	pipelines []*pipeline
}

// IsMonotonic passes on what the inner store says.
func (a *ahead) IsMonotonic() bool {
	m, ok := a.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// StoreLog implements raft.LogStore.
func (a *ahead) StoreLog(l *raft.Log) error { return a.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. Raft calls it on the goroutine that also
// moves the commit index and lets go of leadership: what is read here is of the
// entries' term.
func (a *ahead) StoreLogs(entries []*raft.Log) error {
	a.send(entries)
	return a.LogStore.StoreLogs(entries)
}

// send gives commands to the pipelines; those of a term that this node does not
// lead find that they do not fit. A change of members waits for its turn: raft
// judges it when it is stored.
func (a *ahead) send(entries []*raft.Log) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pipelines) == 0 || len(entries) == 0 || slices.ContainsFunc(entries, noCommand) {
		return
	}
	e := early{entries: entries, commit: a.commit()}
	for _, p := range a.pipelines {
		select {
		case p.stored <- e:
		default: // it is busy; raft will ask it to
		}
	}
}

func noCommand(l *raft.Log) bool { return l.Type != raft.LogCommand }

func (a *ahead) join(p *pipeline) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pipelines = append(a.pipelines, p)
}

func (a *ahead) leave(p *pipeline) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pipelines = slices.DeleteFunc(a.pipelines, func(other *pipeline) bool { return other == p })
}
