package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// Health tells whether this node's copy may be believed. One that may not any
// more still keeps the log and votes, since what it has stored counts. It does
// not lead, because a leader's copy decides, and fills nobody.
type Health interface {
	// Damaged is closed when the copy was found damaged.
	Damaged() <-chan struct{}
	// Damage says what was found, "" before.
	Damage() string
}

// well is the Health of a node that nobody examines.
type well struct{}

func (well) Damaged() <-chan struct{} { return nil }
func (well) Damage() string           { return "" }

var errDamagedLeader = errors.New("this node leads and must not, because its copy is damaged; it hands over")

// abdicationPause is the time between attempts of a damaged leader to hand over.
const abdicationPause = 500 * time.Millisecond

func (n *Node) isDamaged() bool {
	select {
	case <-n.cfg.Health.Damaged():
		return true
	default:
		return false
	}
}

// whileSound returns a context that ends with ctx, or when damage is found.
func (n *Node) whileSound(ctx context.Context) (context.Context, context.CancelFunc) {
	sound, cancel := context.WithCancel(ctx)
	if n.isDamaged() {
		cancel()
		return sound, cancel
	}
	n.group.spawn(func() {
		select {
		case <-n.cfg.Health.Damaged():
			cancel()
		case <-sound.Done():
		}
	})
	return sound, cancel
}

// abdicate hands leadership over, until it has succeeded or ctx ends. Nothing is
// proposed meanwhile, and no fence answered: what its copy would decide may be
// wrong. It may have been elected because it alone has an entry, which the others
// get from it now.
func (n *Node) abdicate(ctx context.Context, s *seat) {
	said := false
	for ctx.Err() == nil && s.raft.State() == raft.Leader {
		err := n.TransferLeadership(ctx)
		if err != nil && !said {
			said = true
			n.log.Warn("this node's copy is damaged and it leads; nobody else is there to take over, and nothing can be written", "err", err)
		}
		select {
		case <-time.After(abdicationPause):
		case <-ctx.Done():
		}
	}
}
