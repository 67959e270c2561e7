package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// adminTimeout bounds one change that an operator asked for.
	adminTimeout = 10 * time.Second
	// adminPause is the time between attempts while there is no leader.
	adminPause = 50 * time.Millisecond
)

// adminRequest is a change that an operator asks for, on its way to the leader.
type adminRequest struct {
	NodeID string     `json:"node_id,omitempty"`
	Keys   *KeyChange `json:"keys,omitempty"`
	Hop    bool       `json:"hop,omitempty"` // passed on by a member
}

var errNoMember = errors.New("it is no member")

// Refused reports that an operator's request was understood and will not be
// carried out; the error says why.
func Refused(err error) bool {
	var no *refusal
	return errors.As(err, &no)
}

// Remove takes a member out of the cluster for good. It is refused when that
// would leave the cluster without a quorum of voters that are in reach.
func (n *Node) Remove(ctx context.Context, id string) error {
	doubt := false
	return n.administer(ctx, func(ctx context.Context) error {
		err := n.removeAnywhere(ctx, adminRequest{NodeID: id})
		if doubt && Refused(err) && !n.isMember(id) {
			return nil // an earlier attempt, whose answer did not come, has done it
		}
		doubt = doubt || errors.Is(err, ErrOutcomeUnknown)
		return err
	})
}

// Transfer makes a voter lead: the named one, or for "" any other than who leads
// now. It returns once this node has seen it lead.
func (n *Node) Transfer(ctx context.Context, to string) error {
	return n.administer(ctx, func(ctx context.Context) error {
		before := n.leader.get().ID
		if err := n.transferAnywhere(ctx, adminRequest{NodeID: to}); err != nil {
			return err
		}
		return n.awaitLeader(ctx, func(id string) bool { return id == to || to == "" && id != before })
	})
}

// awaitLeader waits until a leader that will do is known here. A leader that
// steps down has only made way: the election after it may go to another.
func (n *Node) awaitLeader(ctx context.Context, will func(id string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, transferElections*n.cfg.ElectionTimeout)
	defer cancel()
	for {
		now := n.leader.get()
		if now.ID != "" && will(now.ID) {
			return nil
		}
		select {
		case <-now.changed:
		case <-ctx.Done():
			return notProposed(fmt.Errorf("leadership was handed over, and no new leader is seen: %w", ErrNoLeader))
		}
	}
}

// Seek makes a node that is no member yet look for a cluster at a gossip
// address, and returns once it has been admitted.
func (n *Node) Seek(ctx context.Context, addr string) error {
	if n.seat.Load() != nil {
		return &refusal{fmt.Sprintf("this node is a member of cluster %s already", n.clusterID())}
	}
	n.disco.Seed([]string{addr})
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	select {
	case <-n.admitted:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("not admitted within %v; the node goes on looking at %s", adminTimeout, addr)
	}
}

// administer repeats do until it succeeds, is refused, or the time is up.
func (n *Node) administer(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil || Refused(err) {
			return err
		}
		select {
		case <-time.After(adminPause):
		case <-ctx.Done():
			return err
		case <-n.ctx.Done():
			return ErrClosing
		}
	}
}

func (n *Node) removeAnywhere(ctx context.Context, q adminRequest) error {
	return n.atLeader(ctx, methodRemove, q, func(s *seat) error { return n.remove(ctx, s, q.NodeID) })
}

func (n *Node) transferAnywhere(ctx context.Context, q adminRequest) error {
	return n.atLeader(ctx, methodTransfer, q, func(s *seat) error { return n.transferOnRequest(ctx, s, q.NodeID) })
}

// atLeader carries out do if this node leads, and else passes the request on,
// once.
func (n *Node) atLeader(ctx context.Context, method byte, q adminRequest, do func(*seat) error) error {
	s := n.seat.Load()
	leader := n.leader.get()
	switch {
	case s == nil:
		return &refusal{"this node is not a member of a cluster yet"}
	case leader.ID == "":
		return notProposed(ErrNoLeader)
	case leader.ID == n.cfg.NodeID:
		return do(s)
	case q.Hop:
		return notProposed(ErrNoLeader)
	}
	q.Hop = true
	_, err := callJSON[struct{}](q, func(body []byte) (frame, error) {
		return n.pool.call(ctx, leader.ID, n.addrOf(leader), laneSmall, method, body)
	})
	return err
}

// transferOnRequest hands leadership over to one voter, or to any.
func (n *Node) transferOnRequest(ctx context.Context, s *seat, to string) error {
	servers, _ := s.servers()
	target, ok := findServer(servers, to)
	switch {
	case to == n.cfg.NodeID:
		return nil // it leads already
	case to != "" && !ok:
		return &refusal{fmt.Sprintf("node %q: %v", to, errNoMember)}
	case to != "" && target.Suffrage != raft.Voter:
		return &refusal{fmt.Sprintf("node %q has no vote yet; it gets one when it has caught up", to)}
	case s.alone(n.cfg.NodeID):
		return &refusal{"nobody else votes"}
	}
	err := n.transferTo(ctx, func(v raft.Server) bool { return to == "" || string(v.ID) == to })
	if err != nil {
		return &refusal{err.Error()} // it has been tried, and writes should not be held up again and again
	}
	return nil
}

// remove takes a member out of the configuration.
func (n *Node) remove(ctx context.Context, s *seat, id string) error {
	if err := n.changing.takeBy(ctx); err != nil {
		return notProposed(err)
	}
	defer n.changing.give()
	if _, ok := n.inTenure(s); !ok {
		return notProposed(ErrNoLeader)
	}
	servers, index := s.servers()
	target, ok := findServer(servers, id)
	if !ok {
		return &refusal{fmt.Sprintf("node %q: %v", id, errNoMember)}
	}
	if target.Suffrage == raft.Voter {
		if err := n.mayRemove(ctx, s, id); err != nil {
			return err
		}
	}
	if id == n.cfg.NodeID {
		if err := n.transferTo(ctx, func(raft.Server) bool { return true }); err != nil {
			return notProposed(err)
		}
		return notProposed(errors.New("the next leader removes this node"))
	}
	if err := s.raft.RemoveServer(target.ID, index, changeTimeout).Error(); err != nil {
		return proposeError(err)
	}
	n.log.Warn("member removed", "node", id)
	n.dismiss(ctx, id, string(target.Address))
	return nil
}

// mayRemove refuses a removal after which too few voters would be in reach.
func (n *Node) mayRemove(ctx context.Context, s *seat, id string) error {
	reports := n.askVoters(ctx, s)
	servers, _ := s.servers()
	voters, reachable := 0, 0
	for _, v := range servers {
		if v.Suffrage != raft.Voter || string(v.ID) == id {
			continue
		}
		voters++
		r, answered := reports[string(v.ID)]
		if string(v.ID) == n.cfg.NodeID || answered && !r.leaving() {
			reachable++
		}
	}
	if voters == 0 {
		return &refusal{fmt.Sprintf("node %q is the last voter; without it there is no cluster", id)}
	}
	if quorum := voters/2 + 1; reachable < quorum {
		return &refusal{fmt.Sprintf("without node %q only %d of the %d voters left would be in reach, and %d are needed; bring others back first", id, reachable, voters, quorum)}
	}
	return nil
}

func (n *Node) isMember(id string) bool { return hasServer(n.servers(), id) }

// serveRemove and serveTransfer carry out what another member passed on.
func (n *Node) serveRemove(ctx context.Context, q adminRequest) (struct{}, error) {
	q.Hop = true
	return struct{}{}, n.removeAnywhere(ctx, q)
}

func (n *Node) serveTransfer(ctx context.Context, q adminRequest) (struct{}, error) {
	q.Hop = true
	return struct{}{}, n.transferAnywhere(ctx, q)
}
