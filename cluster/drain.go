package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// gatePause is the time between looks whether the others can do without this
	// node.
	gatePause = 100 * time.Millisecond
	// gateLogInterval is how often a node that wants to stop says what it waits
	// for.
	gateLogInterval = 5 * time.Second
	// togetherTime is how much earlier than this node another may have begun to
	// stop for both to count as being stopped together.
	togetherTime = 3 * time.Second
	// noQuorumTime is how long there must have been no leader for this node's end
	// to make nothing worse.
	noQuorumTime = 2 * time.Second
)

// Drain makes ready for a good end: it waits until the others can do without
// this node, and hands leadership over. Meanwhile the node serves as before.
//
// It reports whether others carry on. If they do not, because there are none, or
// all stop, or there is no quorum to keep, it has not waited. When ctx ends the
// wait is over, and the others may be left without a quorum.
func (n *Node) Drain(ctx context.Context) (others bool) {
	defer n.departure.finish()
	since := n.departure.begin()
	n.wakeMembers()
	others = n.awaitQuorumOfOthers(ctx, since)
	n.departure.decide()
	if s := n.seat.Load(); others && s != nil && s.raft.State() == raft.Leader {
		if err := n.TransferLeadership(context.WithoutCancel(ctx)); err != nil {
			n.log.Warn("leadership not handed over", "err", err)
		}
	}
	return others
}

func (n *Node) awaitQuorumOfOthers(ctx context.Context, since time.Time) (others bool) {
	said := time.Now() // the first wait is usually short
	for {
		v := n.canDoWithout(ctx, since)
		if v.open {
			n.log.Info("the others can do without this node", "why", v.why)
			return v.others
		}
		if time.Since(said) >= gateLogInterval {
			said = time.Now()
			n.log.Info("waiting until the others can do without this node; a second signal ends it at once", "for", v.why)
		}
		select {
		case <-time.After(gatePause):
		case <-ctx.Done():
			n.log.Warn("stopping although the others have no quorum without this node", "for", v.why)
			return true
		}
	}
}

// verdict is one look at the gate.
type verdict struct {
	open   bool
	others bool // carry on
	why    string
}

func (n *Node) canDoWithout(ctx context.Context, since time.Time) verdict {
	s := n.seat.Load()
	if s == nil {
		return verdict{open: true, why: "it is not a member yet"}
	}
	servers, _ := s.servers()
	voters := slices.DeleteFunc(slices.Clone(servers), func(server raft.Server) bool { return server.Suffrage != raft.Voter })
	quorum := len(voters)/2 + 1
	switch {
	case n.wasRemoved():
		return verdict{open: true, others: true, why: "it is no member any more"}
	case !hasServer(voters, n.cfg.NodeID):
		return verdict{open: true, others: len(voters) > 0, why: "it has no vote"}
	case len(voters)-1 < quorum:
		return verdict{open: true, why: fmt.Sprintf("of %d voters all are needed", len(voters))}
	}
	reports := n.askVoters(ctx, s)
	own, stay, leaving, missing := n.machine.Applied(), 0, 0, []string(nil)
	for _, v := range voters {
		id := string(v.ID)
		if id == n.cfg.NodeID {
			continue
		}
		r, answered := reports[id]
		last, _ := n.members.get(id)
		switch {
		case answered && r.Stays && r.Applied+n.cfg.ReadyLagMax >= own:
			stay++
		case answered && r.Stays:
			missing = append(missing, fmt.Sprintf("%s (%d entries behind)", id, own-r.Applied))
		case answered:
			missing = append(missing, id+" (stopping)")
		default:
			missing = append(missing, id+" (no answer)")
		}
		if answered && r.leaving() || !answered && last.leaving() && last.at.After(since.Add(-togetherTime)) {
			leaving++
		}
	}
	switch {
	case leaving == len(voters)-1:
		return verdict{open: true, why: "all voters are being stopped"}
	case stay >= quorum:
		return verdict{open: true, others: true, why: fmt.Sprintf("%d of %d voters stay", stay, len(voters))}
	case n.leaderless() >= noQuorumTime:
		return verdict{open: true, why: "there has been no leader for some time"}
	}
	return verdict{why: strings.Join(missing, ", ")}
}

// leaderless is for how long no leader has been known; 0 when one is.
func (n *Node) leaderless() time.Duration {
	r := n.leader.get()
	if r.ID != "" {
		return 0
	}
	return n.cfg.Now().Sub(r.Since)
}
