package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Check is one thing that must hold.
type Check struct {
	Name string
	Err  error // what is missing; nil when it holds
}

// Ready returns nil when this node can serve: it is a member, knows a leader,
// and has nearly all that the leader has. The error says what is missing.
func (n *Node) Ready() error {
	for _, c := range n.Checks() {
		if c.Err != nil {
			return c.Err
		}
	}
	return nil
}

// Checks returns what must hold for this node to serve. Where one does not, those
// behind it may fail for that reason.
func (n *Node) Checks() []Check {
	return []Check{
		{"running", n.isRunning()},
		{"copy", n.isSound()},
		{"member", n.isAdmitted()},
		{"leader", n.knowsLeader()},
		{"caught-up", n.isCaughtUp()},
	}
}

func (n *Node) isRunning() error {
	switch {
	case n.wasRemoved():
		return errors.New("this node was removed from its cluster")
	case n.proposer.shutting():
		return errors.New("this node is stopping")
	}
	return nil
}

func (n *Node) isSound() error {
	if n.isDamaged() {
		return errors.New("this node's copy is damaged and not read: " + n.cfg.Health.Damage())
	}
	return nil
}

func (n *Node) isAdmitted() error {
	if n.seat.Load() == nil {
		return errors.New("this node has not been admitted to a cluster yet")
	}
	return nil
}

func (n *Node) knowsLeader() error {
	if n.leader.get().ID == "" {
		return errors.New("no leader is known")
	}
	return nil
}

func (n *Node) isCaughtUp() error {
	s, leader := n.seat.Load(), n.leader.get()
	switch {
	case s == nil || leader.ID == "":
		return errors.New("without a leader nothing tells how far this node is")
	case leader.ID == n.cfg.NodeID:
		if _, ok := n.inTenure(s); !ok {
			return errors.New("this node leads but has not yet applied all that was committed before")
		}
		return nil
	}
	r, ok := n.members.get(leader.ID)
	if !ok || !n.members.fresh(r) {
		return fmt.Errorf("the leader %q has not reported yet how far it is", leader.ID)
	}
	if applied := n.machine.Applied(); applied+n.cfg.ReadyLagMax < r.Applied {
		return fmt.Errorf("this node is %d log entries behind the leader", r.Applied-applied)
	}
	return nil
}

// ClusterChecks returns what must hold for the cluster to bear the loss of a
// node, as this node sees it. A cluster of one never can.
func (n *Node) ClusterChecks() []Check {
	st := n.Status(context.Background())
	var away, damaged, behind []string
	for _, m := range st.Members {
		switch {
		case !m.Voter:
		case !m.Reachable:
			away = append(away, m.NodeID)
		case m.Damage != "":
			damaged = append(damaged, m.NodeID)
		case m.Lag > n.cfg.ReadyLagMax:
			behind = append(behind, m.NodeID)
		}
	}
	tolerant := error(nil)
	if st.FailureTolerance < 1 {
		tolerant = errors.New("no node may fail: the failure tolerance is 0")
	}
	return []Check{
		{"leader", n.knowsLeader()},
		{"failure-tolerance", tolerant},
		{"voters-reachable", unless(away, "out of reach: ")},
		{"voters-sound", unless(damaged, "damaged copies: ")},
		{"voters-caught-up", unless(behind, "behind in the log: ")},
		{"disk-space", unless(st.OutOfSpace, "full disks: ")},
	}
}

// unless is an error that names nodes, nil for none.
func unless(nodes []string, what string) error {
	if len(nodes) == 0 {
		return nil
	}
	return errors.New(what + strings.Join(nodes, ", "))
}
