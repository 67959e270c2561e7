package cluster

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// standInStep is the time between the voters' turns to take over from a leader
// whose process has ended: one after the other, so that they do not split the
// votes.
const standInStep = 100 * time.Millisecond

// suspectLeader is told that a raft connection from a node has ended. When the
// leader's process dies its connections break at that moment, and its port
// refuses new ones: there is no need to wait until its heartbeats are missed.
func (n *Node) suspectLeader(id string) {
	if n.ctx.Err() != nil || n.leader.get().ID != id || n.departure.begun() || !n.suspected.CompareAndSwap(false, true) {
		return
	}
	if !n.group.spawn(func() {
		defer n.suspected.Store(false)
		n.standInFor(id)
	}) {
		n.suspected.Store(false)
	}
}

// standInFor makes this node stand for election if the leader's process is gone.
// To be wrong does no harm but an election more: the others vote as always, by
// term and by log.
func (n *Node) standInFor(leader string) {
	s := n.seat.Load()
	if s == nil || !n.processGone(leader) {
		return
	}
	turn := n.turnAfter(s, leader)
	if turn < 0 {
		return
	}
	if turn > 0 {
		select {
		case <-time.After(time.Duration(turn) * standInStep):
		case <-n.ctx.Done():
			return
		}
	}
	if now := n.leader.get().ID; now != "" && now != leader || s.raft.State() != raft.Follower || !n.processGone(leader) {
		return
	}
	n.log.Info("the leader's process has ended; this node stands for election", "leader", leader)
	request := raft.TimeoutNowRequest{RPCHeader: n.raftHeader(s)}
	err := s.transport.TimeoutNow(raft.ServerID(n.cfg.NodeID), raft.ServerAddress(n.cfg.AdvertisePeer), &request, nil)
	if err != nil {
		n.log.Debug("this node could not stand for election at once; it will when heartbeats are missed", "err", err)
	}
}

// processGone reports that nobody listens at a member's peer port, though its
// host answers.
func (n *Node) processGone(id string) bool {
	ctx, cancel := context.WithTimeout(n.ctx, standInStep)
	defer cancel()
	c, err := n.network.Dial(ctx, n.book.addrOf(id))
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// turnAfter is this node's place among the voters but the leader, -1 for none.
func (n *Node) turnAfter(s *seat, leader string) int {
	servers, _ := s.servers()
	var voters []string
	for _, v := range servers {
		if v.Suffrage == raft.Voter && string(v.ID) != leader {
			voters = append(voters, string(v.ID))
		}
	}
	slices.Sort(voters)
	return slices.Index(voters, n.cfg.NodeID)
}

// raftHeader is what raft puts into its own requests.
func (n *Node) raftHeader(s *seat) raft.RPCHeader {
	return raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax,
		ID:              []byte(n.cfg.NodeID),
		Addr:            []byte(s.transport.LocalAddr()),
	}
}
