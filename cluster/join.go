package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// joinCallTimeout bounds one request to join, its one hop included.
const joinCallTimeout = 3 * changeTimeout

// joinRequest is a node without state that asks to be admitted.
type joinRequest struct {
	NodeID      string `json:"node_id"`
	DirectoryID string `json:"directory_id"`
	PeerAddr    string `json:"peer_addr"`
	Level       byte   `json:"level"`
	ClusterID   string `json:"cluster_id,omitempty"` // that it belonged to, if any
	Hop         bool   `json:"hop,omitempty"`        // passed on by a member
}

type joinReply struct {
	ClusterID string `json:"cluster_id"`
}

// serveJoin admits a node, here or through the leader.
func (n *Node) serveJoin(ctx context.Context, q joinRequest) (joinReply, error) {
	own := n.clusterID()
	s := n.seat.Load()
	leader := n.leader.get()
	switch {
	case s == nil || own == "":
		return joinReply{}, &refusal{"this node is not a member of a cluster yet"}
	case q.ClusterID != "" && q.ClusterID != own:
		return joinReply{}, &refusal{otherCluster(own, q.ClusterID)}
	case q.NodeID == "" || len(q.NodeID) > nodeIDBytesMax || q.PeerAddr == "" || len(q.PeerAddr) > addressBytesMax:
		return joinReply{}, &refusal{"a node id and a peer address of moderate length are needed"}
	case leader.ID == "":
		return joinReply{}, notProposed(ErrNoLeader)
	case leader.ID == n.cfg.NodeID:
		return n.admit(s, own, q)
	case q.Hop:
		return joinReply{}, notProposed(ErrNoLeader)
	}
	q.Hop = true
	ctx, cancel := context.WithTimeout(ctx, joinCallTimeout)
	defer cancel()
	return callJSON[joinReply](q, func(body []byte) (frame, error) {
		return n.pool.call(ctx, leader.ID, n.addrOf(leader), laneSmall, methodJoin, body)
	})
}

// admit adds a node as a non-voter. One that is in the configuration already has
// lost its directory: it forgot its votes and its log, so its old entry goes
// first and its vote with it.
func (n *Node) admit(s *seat, clusterID string, q joinRequest) (joinReply, error) {
	n.changing.take()
	defer n.changing.give()
	if _, ok := n.inTenure(s); !ok {
		return joinReply{}, notProposed(ErrNoLeader)
	}
	if why := n.tooOld(q); why != "" {
		return joinReply{}, &refusal{why}
	}
	servers, index := s.servers()
	if old, known := findServer(servers, q.NodeID); known {
		if err := n.mayReplace(old, q); err != nil {
			return joinReply{}, err
		}
		n.log.Warn("member returned without its data; it starts again as a non-voter", "node", q.NodeID, "directory", q.DirectoryID)
		removal := s.raft.RemoveServer(old.ID, index, changeTimeout)
		if err := removal.Error(); err != nil {
			return joinReply{}, notProposed(fmt.Errorf("remove the old entry of node %q: %w", q.NodeID, err))
		}
		index = removal.Index()
	}
	err := s.raft.AddNonvoter(raft.ServerID(q.NodeID), raft.ServerAddress(q.PeerAddr), index, changeTimeout).Error()
	if err != nil {
		return joinReply{}, notProposed(fmt.Errorf("add node %q: %w", q.NodeID, err))
	}
	n.log.Info("member joined as a non-voter", "node", q.NodeID, "addr", q.PeerAddr)
	return joinReply{ClusterID: clusterID}, nil
}

// mayReplace refuses to replace a member that is alive: then two nodes were
// given the same id.
func (n *Node) mayReplace(old raft.Server, q joinRequest) error {
	if q.NodeID == n.cfg.NodeID {
		return &refusal{fmt.Sprintf("node id %q is that of the leader, which is alive; give the new node an id of its own", q.NodeID)}
	}
	m, seen := n.members.get(q.NodeID)
	if seen && n.members.fresh(m) && m.DirectoryID != q.DirectoryID {
		return notProposed(fmt.Errorf("node id %q was in use at %s less than %v ago; give the new node an id of its own, or wait", q.NodeID, old.Address, n.members.life))
	}
	return nil
}

// joinThrough asks one member to admit this node.
func (n *Node) joinThrough(ctx context.Context, p Peer) error {
	ctx, cancel := context.WithTimeout(ctx, joinCallTimeout)
	defer cancel()
	id := n.identity()
	reply, err := callJSON[joinReply](joinRequest{
		NodeID: n.cfg.NodeID, DirectoryID: id.DirectoryID, PeerAddr: n.cfg.AdvertisePeer, ClusterID: id.ClusterID, Level: n.cfg.Level,
	}, func(body []byte) (frame, error) { return n.callAdmission(ctx, p, methodJoin, body) })
	if err != nil {
		return fmt.Errorf("join through node %q: %w", p.NodeID, err)
	}
	if reply.ClusterID == "" {
		return errors.New("the cluster gave no id")
	}
	return n.takeSeat(reply.ClusterID, nil, "joined through node "+p.NodeID)
}

// callAdmission makes one call on a connection of its own to a node that need
// not be of this node's cluster.
func (n *Node) callAdmission(ctx context.Context, p Peer, method byte, body []byte) (frame, error) {
	conn, err := n.dialPeer(ctx, hello{Kind: connAdmission, To: p.NodeID}, p.PeerAddr)
	if err != nil {
		return frame{}, notProposed(fmt.Errorf("connect to node %q at %s: %w", p.NodeID, p.PeerAddr, err))
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := writeFrame(conn, frame{id: 1, code: method, body: body}); err != nil {
		return frame{}, err
	}
	return readFrame(conn)
}

func otherCluster(own, theirs string) string {
	switch {
	case Supersedes(own, theirs):
		return fmt.Sprintf("this node belongs to cluster %s, which a recovery made of the caller's cluster %s; the caller's data is from before it and has to be refilled", own, theirs)
	case Supersedes(theirs, own):
		return fmt.Sprintf("this node belongs to cluster %s, of which a recovery made the caller's cluster %s; this node's data is from before it and has to be refilled", own, theirs)
	}
	return fmt.Sprintf("this node belongs to cluster %s, the caller to cluster %s", own, theirs)
}
