package wiring

import (
	"context"
	"sync/atomic"
	"time"

	"mainstem/cluster"
	"mainstem/scrub"
	"mainstem/stream"
)

// SweepInterval is how often a leader looks for streams whose time is up.
const SweepInterval = 200 * time.Millisecond

// Latch ties a knot: the machine tells the cluster what it committed and the
// cluster runs the machine's sweep, and both do so while the cluster is still
// being opened.
type Latch struct {
	node   atomic.Pointer[cluster.Node]
	opened chan struct{} // closed once node is set
}

// NewLatch returns one whose cluster is not open yet.
func NewLatch() *Latch { return &Latch{opened: make(chan struct{})} }

// Open says that the cluster is open. It is called once.
func (l *Latch) Open(n *cluster.Node) {
	l.node.Store(n)
	close(l.opened)
}

// wait returns the cluster once it is open, or the cause of ctx's end.
func (l *Latch) wait(ctx context.Context) (*cluster.Node, error) {
	select {
	case <-l.opened:
		return l.node.Load(), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Committed passes on what the machine has committed. Before the cluster is open
// there is nobody to hint: a node that replays does not lead.
func (l *Latch) Committed(index, term uint64) {
	if n := l.node.Load(); n != nil {
		n.AppliedHook(index, term)
	}
}

// DiskChanged tells the cluster that the level of the disk has changed. Before it
// is open it will ask by itself.
func (l *Latch) DiskChanged() {
	if n := l.node.Load(); n != nil {
		n.DiskChanged()
	}
}

// Submit puts a command into the log. Until the cluster is open it waits.
func (l *Latch) Submit(ctx context.Context, c stream.Command) (stream.Result, error) {
	n, err := l.wait(ctx)
	if err != nil {
		return stream.Result{}, err
	}
	return n.Submit(ctx, c)
}

// Propose is Submit for those whom only an error concerns.
func (l *Latch) Propose(ctx context.Context, c stream.Command) error {
	_, err := l.Submit(ctx, c)
	return err
}

// Fence waits for what was committed anywhere before the call.
func (l *Latch) Fence(ctx context.Context) error {
	n, err := l.wait(ctx)
	if err != nil {
		return err
	}
	return n.Fence(ctx)
}

// Leading makes a task of a leader wait until the cluster is open, for
// cluster.Config.Lead.
func (l *Latch) Leading(task func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		if _, err := l.wait(ctx); err == nil {
			task(ctx)
		}
	}
}

// Members are those of the cluster as the scrub knows them; none before it is
// open.
func (l *Latch) Members() (members []scrub.Member) {
	n := l.node.Load()
	if n == nil {
		return nil
	}
	for _, m := range n.Status(context.Background()).Members {
		members = append(members, scrub.Member{ID: m.NodeID, Voter: m.Voter, Reachable: m.Reachable, Note: m.Note})
	}
	return members
}

// LastCopy reports that no other node is known from which the streams could be
// read, or this one be filled.
func (l *Latch) LastCopy() bool {
	n := l.node.Load()
	if n == nil {
		return true
	}
	st := n.Status(context.Background())
	for _, m := range st.Members {
		if m.NodeID != st.NodeID && m.Voter && m.Reachable && m.Damage == "" {
			return false
		}
	}
	return true
}
