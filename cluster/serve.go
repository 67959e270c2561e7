package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/raft"
)

// welcome introduces this node to who dials it.
func (n *Node) welcome() welcome { return welcome{ClusterID: n.clusterID(), From: n.cfg.NodeID} }

// judge decides whether to talk to who dials, and admits this node when a
// cluster that it promised to found makes contact.
func (n *Node) judge(h hello) string {
	own := n.clusterID()
	switch {
	case h.From == "":
		return "the caller does not say who it is"
	case h.To != "" && h.To != n.cfg.NodeID:
		return fmt.Sprintf("this is node %q, not node %q", n.cfg.NodeID, h.To)
	case h.ClusterID != "" && own != "" && h.ClusterID != own:
		n.heardOf(h.ClusterID, h.From)
		return otherCluster(own, h.ClusterID)
	case h.Kind == connAdmission:
		return ""
	case n.mute.Load():
		return errMute.Error()
	case h.Kind != connRaft && h.Kind != connRPC:
		return fmt.Sprintf("connections of kind %q are unknown to this version", h.Kind)
	case h.ClusterID == "":
		return "the caller is not a member of a cluster"
	case n.seat.Load() != nil:
		return ""
	case h.Kind == connRaft && n.grants.stands(h.ClusterID):
		if err := n.takeSeat(h.ClusterID, nil, "founded by "+h.From); err != nil {
			return "this node could not start: " + err.Error()
		}
		return ""
	}
	return "this node has not been admitted to a cluster yet"
}

func (n *Node) rejected(remote net.Addr, h hello, err error) {
	n.log.Debug("connection refused", "remote", remote, "from", h.From, "kind", h.Kind, "err", err)
	if own := n.clusterID(); own != "" && h.ClusterID != "" && h.ClusterID != own {
		n.log.Warn("a node of another cluster was refused", "from", h.From, "its_cluster", h.ClusterID, "cluster", own, "remote", remote)
	}
}

// dialPeer connects to a peer port and introduces this node.
func (n *Node) dialPeer(ctx context.Context, h hello, addr string) (net.Conn, error) {
	if h.Kind == connRaft && n.mute.Load() {
		return nil, errMute
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := n.network.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if why := prove(c, h.To, addr); why != "" {
		c.Close()
		return nil, fmt.Errorf("the node at %s is not taken for %q: %s", addr, h.To, why)
	}
	h.From, h.ClusterID = n.cfg.NodeID, n.clusterID()
	if err := greet(c, h); err != nil {
		c.Close()
		var refused *refusedError
		if errors.As(err, &refused) {
			n.heardOf(refused.cluster, refused.peer)
		}
		return nil, err
	}
	return c, nil
}

// handle answers one request of another node.
func (n *Node) handle(ctx context.Context, method byte, body []byte) ([]byte, error) {
	switch method {
	case methodBatch:
		return n.serveBatch(body)
	case methodTraced:
		return n.serveTraced(ctx, body)
	case methodFence:
		return n.serveFence(ctx, string(body))
	case methodStatus:
		return handleJSON(body, n.serveStatus)
	case methodJoin:
		return handleJSON(body, func(q joinRequest) (joinReply, error) { return n.serveJoin(ctx, q) })
	case methodGrant:
		return handleJSON(body, n.serveGrant)
	case methodRelease:
		return handleJSON(body, n.serveRelease)
	case methodRemove:
		return handleJSON(body, func(q adminRequest) (struct{}, error) { return n.serveRemove(ctx, q) })
	case methodTransfer:
		return handleJSON(body, func(q adminRequest) (struct{}, error) { return n.serveTransfer(ctx, q) })
	case methodKeys:
		return handleJSON(body, n.serveKeys)
	case methodChangeKeys:
		return handleJSON(body, func(q adminRequest) (struct{}, error) { return n.serveChangeKeys(ctx, q) })
	case methodDismiss:
		return handleJSON(body, n.serveDismiss)
	}
	return nil, &refusal{fmt.Sprintf("method %d of the peer protocol is unknown to this version", method)}
}

func (n *Node) clusterID() string   { return n.identity().ClusterID }
func (n *Node) directoryID() string { return n.identity().DirectoryID }

func (n *Node) ownPeer() Peer {
	id := n.identity()
	return Peer{
		NodeID: id.NodeID, ClusterID: id.ClusterID, DirectoryID: id.DirectoryID,
		PeerAddr: n.cfg.AdvertisePeer, HTTPAddr: n.cfg.AdvertiseHTTP,
		Expect: n.cfg.BootstrapExpect, Version: n.cfg.Version,
	}
}

// servers is the log's latest configuration, nil before admission.
func (n *Node) servers() []raft.Server {
	s := n.seat.Load()
	if s == nil {
		return nil
	}
	servers, _ := s.servers()
	return servers
}

// ownRound is a round of fences on this node as the leader.
func (n *Node) ownRound(context.Context) (uint64, error) {
	s := n.seat.Load()
	if s == nil {
		return 0, errors.New("this node has not been admitted to a cluster yet")
	}
	return n.readIndex(s)
}

// gauges are what a scrape reads of this node.
func (n *Node) gauges() gauges {
	ofRaft := func(read func(*raft.Raft) float64) func() float64 {
		return func() float64 {
			if s := n.seat.Load(); s != nil {
				return read(s.raft)
			}
			return 0
		}
	}
	return gauges{
		isLeader: ofRaft(func(r *raft.Raft) float64 {
			return oneIf(r.State() == raft.Leader)
		}),
		hasLeader: func() float64 { return oneIf(n.leader.get().ID != "") },
		voters: func() float64 {
			count := 0
			for _, server := range n.servers() {
				if server.Suffrage == raft.Voter {
					count++
				}
			}
			return float64(count)
		},
		members: newMemberMetrics(n),
		term:    ofRaft(func(r *raft.Raft) float64 { return float64(r.CurrentTerm()) }),
		commit:  ofRaft(func(r *raft.Raft) float64 { return float64(r.CommitIndex()) }),
		applied: func() float64 { return float64(n.machine.Applied()) },
		peers:   func() float64 { return float64(len(n.servers())) },
		failureTolerance: func() float64 {
			return float64(n.Status(context.Background()).FailureTolerance)
		},
		lastContact: func() float64 {
			last, _ := n.LeaderContact()
			if last.IsZero() {
				return 0
			}
			return max(0, n.cfg.Now().Sub(last)).Seconds()
		},
		forwarded:  func() float64 { return float64(n.forwarded.held.Load()) },
		outOfSpace: func() float64 { return float64(len(n.space.names())) },
		gossiping:  func() float64 { return float64(1 + len(n.disco.Peers())) },
	}
}
