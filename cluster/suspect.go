package cluster

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// standInStep is the time between the voters' turns to take over from a leader
	// whose process has ended: one after the other, so that they do not split the
	// votes.
	standInStep = 200 * time.Millisecond
	// A process that dies may close its connections a moment before its port.
	goneTries = 5
	gonePause = 10 * time.Millisecond
)

// suspectLeader is told that a raft connection from a node has ended. When the
// leader's process dies its connections break at that moment, and its port
// refuses new ones: there is no need to wait until its heartbeats are missed.
func (n *Node) suspectLeader(id string) {
	if !n.leader.isLatest(id) {
		return
	}
	select {
	case n.suspicions <- id:
	default: // one waits to be looked into
	}
}

// lookIntoSuspicions looks at the leader whenever it is suspected.
func (n *Node) lookIntoSuspicions(s *seat) {
	for {
		select {
		case id := <-n.suspicions:
			if n.leader.isLatest(id) && !n.departure.begun() {
				n.standInFor(s, id)
			}
		case <-n.ctx.Done():
			return
		}
	}
}

// standInFor makes this node stand for election if the leader's process is gone.
// To be wrong does no harm but an election more: the others vote as always, by
// term and by log.
func (n *Node) standInFor(s *seat, leader string) {
	if !n.processGone(leader) {
		return
	}
	turn := n.turnAfter(s, leader)
	if turn < 0 {
		return
	}
	n.awaitTurn(turn, leader)
	if !n.leader.isLatest(leader) || s.raft.State() != raft.Follower || !n.processGone(leader) {
		return
	}
	n.log.Info("the leader's process has ended; this node stands for election", "leader", leader)
	request := raft.TimeoutNowRequest{RPCHeader: n.raftHeader(s)}
	err := s.transport.TimeoutNow(raft.ServerID(n.cfg.NodeID), raft.ServerAddress(n.cfg.AdvertisePeer), &request, nil)
	if err != nil {
		n.log.Debug("this node could not stand for election at once; it will when heartbeats are missed", "err", err)
	}
}

// awaitTurn returns when it is this node's turn, or another leads, or the node
// closes.
func (n *Node) awaitTurn(turn int, leader string) {
	mine := time.NewTimer(time.Duration(turn) * standInStep)
	defer mine.Stop()
	for {
		reign := n.leader.get()
		if !n.leader.isLatest(leader) {
			return
		}
		select {
		case <-mine.C:
			return
		case <-reign.changed:
		case <-n.ctx.Done():
			return
		}
	}
}

// processGone reports that nobody listens at a member's peer port, though its
// host answers.
func (n *Node) processGone(id string) bool {
	ctx, cancel := context.WithTimeout(n.ctx, standInStep)
	defer cancel()
	for range goneTries {
		c, err := n.network.Dial(ctx, n.book.addrOf(id))
		if errors.Is(err, syscall.ECONNREFUSED) {
			return true
		}
		if err == nil {
			c.Close()
		}
		select {
		case <-time.After(gonePause):
		case <-ctx.Done():
			return false
		}
	}
	return false
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
