package clustertest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"mainstem/stream"
)

// Applied is one command as a Counter saw it.
type Applied struct {
	Index, Term uint64
	Level       byte // of its envelope
	At          stream.Time
	Data        string // of an Append
}

// Counter is the smallest machine: it keeps the commands it was given, in order.
// The Next.Pos of each outcome is how many there were.
type Counter struct {
	hook func(index, term uint64)

	mu      sync.Mutex // guards what follows
	log     []Applied
	entries int // envelopes with commands
	applied uint64
	changed chan struct{}

	outcomes map[place][]stream.Result
}

// NewCounter makes an empty machine that calls hook, if any, after each batch.
func NewCounter(hook func(index, term uint64)) *Counter {
	return &Counter{hook: hook, changed: make(chan struct{}), outcomes: map[place][]stream.Result{}}
}

// Apply implements raft.FSM.
func (c *Counter) Apply(l *raft.Log) any { return c.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM.
func (c *Counter) ApplyBatch(logs []*raft.Log) []any {
	c.mu.Lock()
	out := make([]any, len(logs))
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			out[i] = c.entry(l)
		}
		c.applied = l.Index
	}
	c.ring()
	c.mu.Unlock()
	if last := logs[len(logs)-1]; c.hook != nil {
		c.hook(last.Index, last.Term)
	}
	return out
}

// entry answers an envelope, or each of a bundle.
func (c *Counter) entry(l *raft.Log) any {
	rest, several := stream.Unbundle(l.Data)
	if !several {
		return c.envelope(l, 0, l.Data)
	}
	var all [][]stream.Result
	for len(rest) > 0 {
		envelope, after, err := stream.NextEnvelope(rest)
		if err != nil {
			panic(fmt.Sprintf("entry %d: %v", l.Index, err))
		}
		all, rest = append(all, c.envelope(l, len(all), envelope)), after
	}
	return all
}

// envelope answers the nth envelope of an entry.
func (c *Counter) envelope(l *raft.Log, nth int, envelope []byte) []stream.Result {
	h, rest, err := stream.ParseHeader(envelope)
	if err != nil {
		panic(fmt.Sprintf("entry %d: %v", l.Index, err))
	}
	key := place{h.Session, h.Sequence}
	if before, repeated := c.outcomes[key]; h.Session != 0 && repeated {
		return before
	}
	results := []stream.Result{}
	for len(rest) > 0 {
		var cmd stream.Command
		if cmd, rest, err = stream.NextCommand(rest); err != nil {
			panic(fmt.Sprintf("entry %d: %v", l.Index, err))
		}
		if _, ok := cmd.(stream.OpenSession); ok {
			return []stream.Result{{Outcome: stream.Outcome{Session: l.Index<<16 | uint64(nth)}}}
		}
		a := Applied{Index: l.Index, Term: l.Term, Level: h.Level, At: h.At}
		if p, ok := cmd.(stream.Append); ok {
			a.Data = string(p.Body.Data)
		}
		c.log = append(c.log, a)
		results = append(results, stream.Result{Outcome: stream.Outcome{Next: stream.Offset{Pos: uint64(len(c.log))}}})
	}
	if len(results) > 0 {
		c.entries++
		c.outcomes[key] = results
	}
	return results
}

// place is where a batch stands in its session. A Counter remembers all.
type place struct{ session, sequence uint64 }

// ring wakes those who wait. The lock is held.
func (c *Counter) ring() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Applied implements cluster.Machine.
func (c *Counter) Applied() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied
}

// WaitApplied implements cluster.Machine.
func (c *Counter) WaitApplied(ctx context.Context, index uint64) error {
	for {
		c.mu.Lock()
		applied, changed := c.applied, c.changed
		c.mu.Unlock()
		if applied >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Log is what was applied, in order.
func (c *Counter) Log() []Applied {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

// Entries counts the entries that held commands.
func (c *Counter) Entries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries
}

type counterState struct {
	Log     []Applied
	Entries int
	Applied uint64
}

// Snapshot implements raft.FSM.
func (c *Counter) Snapshot() (raft.FSMSnapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &counterState{Log: slices.Clone(c.log), Entries: c.entries, Applied: c.applied}, nil
}

// Persist implements raft.FSMSnapshot.
func (s *counterState) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(s); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s *counterState) Release() {}

// Restore implements raft.FSM.
func (c *Counter) Restore(r io.ReadCloser) error {
	defer r.Close()
	var s counterState
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log, c.entries, c.applied = s.Log, s.Entries, s.Applied
	c.ring()
	return nil
}
