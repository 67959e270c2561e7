package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// observationsMax is how many of raft's notices may wait. One that waits makes
// the leader be looked up again, so dropping others loses nothing.
const observationsMax = 8

// deposedGrace is how long a former leader's answers are awaited once another
// leads.
const deposedGrace = 500 * time.Millisecond

// reign is who leads, as this node knows it.
type reign struct {
	ID, Addr string    // "" when nobody is known to lead
	Since    time.Time // by the node's clock

	changed chan struct{}   // closed when this view has passed
	ctx     context.Context // ends some time after another leads
}

var errDeposed = errors.New("another node leads now, and the former leader has not answered")

// leaderWatch keeps the current reign.
type leaderWatch struct {
	parent context.Context

	mu     sync.Mutex // guards what follows
	now    reign
	last   string                  // the last leader that was known ...
	cancel context.CancelCauseFunc // ... and the end of its reign's ctx
}

func newLeaderWatch(parent context.Context, now time.Time) *leaderWatch {
	ctx, cancel := context.WithCancelCause(parent)
	return &leaderWatch{
		parent: parent,
		now:    reign{Since: now, changed: make(chan struct{}), ctx: ctx},
		cancel: cancel,
	}
}

func (w *leaderWatch) get() reign {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// isLatest reports that id leads, or led last and nobody is known to lead.
func (w *leaderWatch) isLatest(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last == id
}

// set reports whether it changed who leads, and who led before.
func (w *leaderWatch) set(id, addr string, at time.Time) (before string, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = w.now.ID
	if id == w.now.ID && addr == w.now.Addr {
		return before, false
	}
	next := reign{ID: id, Addr: addr, Since: at, changed: make(chan struct{}), ctx: w.now.ctx}
	// A leader that is lost and found again still answers what it was asked.
	if id != "" && id != w.last {
		deposed := w.cancel
		time.AfterFunc(deposedGrace, func() { deposed(errDeposed) })
		next.ctx, w.cancel = context.WithCancelCause(w.parent)
		w.last = id
	}
	close(w.now.changed)
	w.now = next
	return before, true
}

// lookUpLeader brings the view up to date with raft.
func (n *Node) lookUpLeader(s *seat) {
	addr, id := s.raft.LeaderWithID()
	if string(id) == n.cfg.NodeID && s.raft.State() != raft.Leader {
		addr, id = "", "" // raft clears its own name a moment after it steps down
	}
	before, changed := n.leader.set(string(id), string(addr), n.cfg.Now())
	if !changed {
		return
	}
	if id == "" {
		n.log.Info("leader lost", "leader", before, "term", s.raft.CurrentTerm())
	} else {
		n.metrics.leaderChanges.Inc()
		n.log.Info("leader known", "leader", id, "addr", addr, "term", s.raft.CurrentTerm())
	}
	n.wakeMembers()
}

// watchLeader follows raft's notices until stop.
func (n *Node) watchLeader(s *seat, stop <-chan struct{}) {
	notices := make(chan raft.Observation, observationsMax)
	o := raft.NewObserver(notices, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	s.raft.RegisterObserver(o)
	defer s.raft.DeregisterObserver(o)
	tick := time.NewTicker(leaderPoll)
	defer tick.Stop()
	warned := false
	for {
		n.lookUpLeader(s)
		s.single.Store(s.alone(n.cfg.NodeID))
		if missing := n.leaderless() >= noLeaderWarnElections*n.cfg.ElectionTimeout; missing != warned {
			warned = missing
			if missing {
				n.log.Warn("no leader is known, and nothing can be written", "since", n.leader.get().Since)
			}
		}
		select {
		case <-notices:
		case <-tick.C: // raft does not announce that a deposed leader knows no other
		case <-stop:
			return
		}
	}
}

// noLeaderWarnElections is for how many election timeouts there is no leader
// before it is worth a warning: leadership passes from one to another without one
// for a moment.
const noLeaderWarnElections = 6

// leaderPoll is how soon a change that raft does not announce is noticed.
const leaderPoll = 50 * time.Millisecond
