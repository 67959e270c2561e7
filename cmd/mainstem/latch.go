package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"mainstem/cluster"
	"mainstem/deliver"
	"mainstem/fsm"
	"mainstem/scrub"
	"mainstem/stream"
)

// sweepInterval is how often a leader looks for streams whose time is up.
const sweepInterval = 200 * time.Millisecond

// latch ties a knot: the machine tells the cluster what it committed and the
// cluster runs the machine's sweep, and both do so while the cluster is still
// being opened.
type latch struct {
	node   atomic.Pointer[cluster.Node]
	opened chan struct{} // closed once node is set
}

func newLatch() *latch { return &latch{opened: make(chan struct{})} }

func (l *latch) open(n *cluster.Node) {
	l.node.Store(n)
	close(l.opened)
}

// committed passes on what the machine has committed. Before the cluster is open
// there is nobody to hint: a node that replays does not lead.
func (l *latch) committed(index, term uint64) {
	if n := l.node.Load(); n != nil {
		n.AppliedHook(index, term)
	}
}

// diskChanged tells the cluster that the level of the disk has changed. Before it
// is open it will ask by itself.
func (l *latch) diskChanged() {
	if n := l.node.Load(); n != nil {
		n.DiskChanged()
	}
}

// Submit puts a command into the log. Until the cluster is open it waits.
func (l *latch) Submit(ctx context.Context, c stream.Command) (stream.Result, error) {
	select {
	case <-l.opened:
		return l.node.Load().Submit(ctx, c)
	case <-ctx.Done():
		return stream.Result{}, context.Cause(ctx)
	}
}

// Fence waits for what was committed anywhere before the call.
func (l *latch) Fence(ctx context.Context) error {
	select {
	case <-l.opened:
		return l.node.Load().Fence(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leading is what this node does while it leads: it lets streams expire, has
// copies compared, and wakes subscribers.
func (l *latch) leading(m *fsm.Machine, s *scrub.Scrubber, d *deliver.Deliverer) func(context.Context) {
	return func(ctx context.Context) {
		select {
		case <-l.opened:
		case <-ctx.Done():
			return
		}
		submit := func(ctx context.Context, c stream.Command) error {
			_, err := l.node.Load().Submit(ctx, c)
			return err
		}
		var leading sync.WaitGroup
		leading.Go(func() { m.Sweep(ctx, sweepInterval, time.Now, submit) })
		leading.Go(func() { s.Lead(ctx, l.members, submit) })
		leading.Go(func() { d.Lead(ctx) })
		leading.Wait()
	}
}
