package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"mainstem/stream"
)

const (
	// fencePause is the time between attempts while no leader answers.
	fencePause = 10 * time.Millisecond
	// fenceCallTimeout bounds one question to the leader.
	fenceCallTimeout = 2 * time.Second
)

// fences gives out log indexes that cover everything committed before they were
// asked for. One round serves all who asked before it began; those who ask while
// it runs share the next.
type fences struct {
	round func(ctx context.Context) (uint64, error)
	spawn func(func()) bool
	ctx   context.Context // of the node: rounds outlive the callers that share them

	mu      sync.Mutex  // guards what follows
	next    *fenceRound // collects callers; nil when nobody asked
	running bool
	shut    bool
	idle    chan struct{} // made by close; closed when shut and nothing runs
}

type fenceRound struct {
	done  chan struct{} // closed once index or err is set
	index uint64
	err   error
}

// ask joins the next round and waits for it.
func (f *fences) ask(ctx context.Context) (uint64, error) {
	r, err := f.join()
	if err != nil {
		return 0, err
	}
	select {
	case <-r.done:
		return r.index, r.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (f *fences) join() (*fenceRound, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		return nil, ErrClosing
	}
	if f.next == nil {
		f.next = &fenceRound{done: make(chan struct{})}
	}
	r := f.next
	if !f.running {
		f.running = true
		if !f.spawn(f.run) {
			f.running, f.next = false, nil
			return nil, ErrClosing
		}
	}
	return r, nil
}

// unlessShut is for a look that needs no round; close waits for it.
func (f *fences) unlessShut(look func() bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.shut && look()
}

// run performs rounds while anybody asks.
func (f *fences) run() {
	for {
		f.mu.Lock()
		r := f.next
		f.next = nil
		if r == nil {
			f.running = false
			if f.shut {
				close(f.idle)
			}
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		r.index, r.err = f.round(f.ctx)
		close(r.done)
	}
}

// close refuses further questions and returns a channel that is closed when the
// last round is done. It is called once.
func (f *fences) close() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut, f.idle = true, make(chan struct{})
	if !f.running {
		close(f.idle)
	}
	return f.idle
}

// Fence returns nil once the local machine has applied everything that was
// committed anywhere before the call. It waits for a leader until ctx ends, at
// most for SubmitTimeout.
func (n *Node) Fence(ctx context.Context) error {
	if n.FencedAtOnce() {
		return nil
	}
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, n.cfg.SubmitTimeout, ErrNoLeader)
	defer cancel()
	for {
		index, err := n.fences.ask(ctx)
		if err == nil {
			if err := n.machine.WaitApplied(ctx, index); err != nil {
				return fmt.Errorf("wait for log index %d: %w", index, err)
			}
			n.metrics.fence.Observe(time.Since(start).Seconds())
			return nil
		}
		if errors.Is(err, ErrClosing) {
			return err
		}
		select {
		case <-time.After(fencePause):
		case <-ctx.Done():
			return fmt.Errorf("fence: %w (%w)", context.Cause(ctx), err)
		}
	}
}

// FencedAtOnce reports that the local machine holds all that was committed, which
// a leader that alone is the quorum knows without asking: a round would go through
// two goroutines and raft's own only to come back with the same. Then it counts as a
// Fence.
func (n *Node) FencedAtOnce() bool {
	start, s := time.Now(), n.seat.Load()
	if s == nil || !s.single.Load() {
		return false
	}
	fenced := n.ownFences.unlessShut(func() bool {
		term, index, err := n.coveringIndex(s)
		// The order matters: the index was read before. Somebody else can have
		// committed more only with a quorum without this node, and that takes two
		// changes of the configuration, the first of which would be seen here.
		if err != nil || !s.alone(n.cfg.NodeID) {
			return false
		}
		now, leads := s.leads()
		return leads && now == term && n.machine.Applied() >= index
	})
	if fenced {
		n.metrics.fence.Observe(time.Since(start).Seconds())
	}
	return fenced
}

// fenceRound asks the leader, which may be this node, for an index.
func (n *Node) fenceRound(ctx context.Context) (uint64, error) {
	leader := n.leader.get()
	s := n.seat.Load()
	switch {
	case s == nil:
		return 0, errors.New("this node has not been admitted to a cluster yet")
	case leader.ID == "":
		return 0, ErrNoLeader
	case leader.ID == n.cfg.NodeID:
		return n.ownFences.ask(ctx)
	}
	ctx, cancel := context.WithTimeout(leader.ctx, fenceCallTimeout)
	defer cancel()
	f, err := n.pool.call(ctx, leader.ID, n.addrOf(leader), laneSmall, methodFence, []byte(n.cfg.NodeID))
	if err != nil {
		return 0, fmt.Errorf("ask node %q for a fence: %w", leader.ID, err)
	}
	b, err := unpack(f)
	if err != nil {
		return 0, fmt.Errorf("ask node %q for a fence: %w", leader.ID, err)
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("node %q answered a fence with %d bytes", leader.ID, len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// serveFence answers another node's question. It shares rounds with this node's
// own readers, and does not ask a third node. from waits for its copy then.
func (n *Node) serveFence(ctx context.Context, from string) ([]byte, error) {
	s := n.seat.Load()
	if s == nil {
		return nil, notProposed(errors.New("this node has not been admitted to a cluster yet"))
	}
	if _, ok := n.inTenure(s); !ok {
		return nil, notProposed(errors.New("this node does not lead, or has not passed its barrier"))
	}
	n.hinter.ask(raft.ServerID(from))
	index, err := n.ownFences.ask(ctx)
	if err != nil {
		return nil, notProposed(err)
	}
	return binary.BigEndian.AppendUint64(nil, index), nil
}

// readIndex is one round on the leader: the commit index is read, and then a
// quorum confirms that this node led while it was read. What it returns is the
// index of an entry that reaches the machine: a wait for raft's own entries
// would never end.
func (n *Node) readIndex(s *seat) (uint64, error) {
	term, index, err := n.coveringIndex(s)
	if errors.Is(err, errCompacted) {
		return n.markIndex(s)
	}
	if err != nil {
		return 0, err
	}
	if err := s.raft.VerifyLeader().Error(); err != nil {
		return 0, fmt.Errorf("verify leadership: %w", err)
	}
	if now, ok := s.leads(); !ok || now != term {
		return 0, raft.ErrLeadershipLost
	}
	return index, nil
}

// coveringIndex is what readIndex has to confirm, and the term it was read in.
func (n *Node) coveringIndex(s *seat) (term, index uint64, err error) {
	term, ok := n.inTenure(s)
	if !ok {
		return 0, 0, notProposed(errors.New("the leader has not passed its barrier"))
	}
	index, err = s.log.lastForMachine(s.raft.CommitIndex())
	return term, index, err
}

// markIndex commits an envelope without commands and returns its index. It is
// for a leader whose log begins after a snapshot and holds only raft's own
// entries: the snapshot's index may be one that no machine counts.
func (n *Node) markIndex(s *seat) (uint64, error) {
	if !n.applying.enter() {
		return 0, errHandingOver
	}
	defer n.applying.leave()
	envelope := stream.NewEnvelope(nil)
	if err := stream.Stamp(envelope, n.clock.stamp()); err != nil {
		return 0, err
	}
	f := s.raft.Apply(envelope, n.cfg.SubmitTimeout)
	if err := f.Error(); err != nil {
		return 0, fmt.Errorf("commit a mark for fences: %w", err)
	}
	return f.Index(), nil
}
