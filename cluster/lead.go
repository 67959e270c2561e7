package cluster

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// barrierPause is the time between attempts to pass the barrier.
const barrierPause = 20 * time.Millisecond

// tenure is the term in which this node leads and has passed its barrier: all
// that earlier leaders committed is applied here. 0 means none.
type tenure struct{ term atomic.Uint64 }

// watchLeadership runs lead while this node leads.
func (n *Node) watchLeadership(s *seat, stop <-chan struct{}) {
	end := func() {}
	defer func() { end() }()
	for {
		select {
		case leads := <-s.raft.LeaderCh():
			end()
			end = func() {}
			n.lookUpLeader(s)
			if leads {
				end = n.beginLead(s)
			}
		case <-stop:
			return
		}
	}
}

// beginLead starts what a leader does, and returns how to end and await it.
func (n *Node) beginLead(s *seat) (end func()) {
	ctx, cancel := context.WithCancel(n.ctx)
	var g errgroup.Group
	g.Go(func() error { n.lead(ctx, s); return nil })
	return func() {
		cancel()
		g.Wait()
	}
}

func (n *Node) lead(ctx context.Context, s *seat) {
	sound, cancel := n.whileSound(ctx)
	defer cancel()
	n.govern(sound, s)
	if n.isDamaged() {
		n.abdicate(ctx, s)
	}
}

func (n *Node) govern(ctx context.Context, s *seat) {
	if !n.passBarrier(ctx, s) {
		return
	}
	defer n.tenure.term.Store(0)
	var g errgroup.Group
	g.Go(func() error { n.tendMembers(ctx, s); return nil })
	if n.cfg.Lead != nil {
		g.Go(func() error { n.cfg.Lead(ctx); return nil })
	}
	g.Wait()
}

// passBarrier returns once all that was committed before this tenure is applied
// here. Without it a new leader would answer fences from the past.
func (n *Node) passBarrier(ctx context.Context, s *seat) bool {
	for ctx.Err() == nil {
		term, leads := s.leads()
		if !leads {
			return false
		}
		err := s.raft.Barrier(0).Error()
		if now, still := s.leads(); err == nil && still && now == term {
			n.tenure.term.Store(term)
			n.log.Info("leading", "term", term)
			n.wakeMembers()
			return true
		}
		select {
		case <-time.After(barrierPause):
		case <-ctx.Done():
		}
	}
	return false
}

// inTenure returns the term that this node leads with its barrier passed.
func (n *Node) inTenure(s *seat) (uint64, bool) {
	term, leads := s.leads()
	return term, leads && n.tenure.term.Load() == term
}
