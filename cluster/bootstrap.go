package cluster

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"
)

const (
	// admissionPause is the longest time between looks for a cluster.
	admissionPause = 500 * time.Millisecond
	// admissionLogInterval is how often a waiting node says what it waits for.
	admissionLogInterval = 10 * time.Second
	// mintPauseMax spreads out minters that got in each other's way.
	mintPauseMax = time.Second
)

// seekAdmission makes a node without state part of a cluster: it joins one that
// exists, or founds one with others that wait like it. It returns once the node
// is admitted, which may also happen because a minter's cluster makes contact.
func (n *Node) seekAdmission() {
	var said time.Time
	for {
		why := n.tryAdmission()
		if why == "" {
			return
		}
		if time.Since(said) >= admissionLogInterval {
			said = time.Now()
			n.log.Info("waiting for a cluster", "for", why)
		}
		select {
		case <-n.admitted:
			return
		case <-n.disco.Changed():
		case <-time.After(admissionPause):
		case <-n.ctx.Done():
			return
		}
	}
}

// tryAdmission returns "" once admitted, or what is waited for.
func (n *Node) tryAdmission() (waitsFor string) {
	id := n.identity()
	if n.seat.Load() != nil {
		return ""
	}
	peers := n.disco.Peers()
	if members, why := establishedPeers(peers, id.ClusterID); len(members) > 0 || why != "" {
		if why != "" {
			return why
		}
		if n.grants.stands(members[0].ClusterID) {
			return "contact by cluster " + members[0].ClusterID + ", of which it is a founder"
		}
		return n.tryJoin(members)
	}
	if id.ClusterID != "" {
		return "a member of cluster " + id.ClusterID + ", whose log this node has lost or never had"
	}
	if n.mayFound() {
		return n.tryFound(peers)
	}
	return "a member of an existing cluster at the join addresses"
}

// mayFound: with others to join and nothing expected, a node never founds.
func (n *Node) mayFound() bool { return n.cfg.BootstrapExpect > 1 || len(n.others) == 0 }

// establishedPeers picks the peers that a fresh node may join through. It does
// not choose between clusters.
func establishedPeers(peers []Peer, own string) (members []Peer, why string) {
	cluster := own
	for _, p := range peers {
		switch {
		case p.ClusterID == "" || own != "" && p.ClusterID != own:
			continue
		case cluster == "":
			cluster = p.ClusterID
		case cluster != p.ClusterID:
			return nil, fmt.Sprintf("a decision: nodes of two clusters, %s and %s, are in sight; correct the join addresses", cluster, p.ClusterID)
		}
		members = append(members, p)
	}
	return members, ""
}

func (n *Node) tryJoin(members []Peer) (waitsFor string) {
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	var last error
	for _, p := range members {
		if last = n.joinThrough(n.ctx, p); last == nil || n.seat.Load() != nil {
			return ""
		}
		n.log.Debug("not admitted", "through", p.NodeID, "err", last)
	}
	return "admission: " + last.Error()
}

// tryFound founds a cluster when enough fresh nodes are in sight and this one
// has the lowest id of all.
func (n *Node) tryFound(peers []Peer) (waitsFor string) {
	expect := n.cfg.BootstrapExpect
	me := n.ownPeer()
	if expect == 1 {
		return n.mint([]Peer{me})
	}
	fresh := []Peer{me}
	for _, p := range peers {
		switch {
		case p.NodeID == me.NodeID:
			return fmt.Sprintf("a node id of its own: another node is called %q too", p.NodeID)
		case p.Expect == expect:
			fresh = append(fresh, p)
		default:
			n.warnUnequal(p)
		}
	}
	if len(fresh) < expect {
		return fmt.Sprintf("%d founders, %d in sight", expect, len(fresh))
	}
	slices.SortFunc(fresh, func(a, b Peer) int { return cmp.Compare(a.NodeID, b.NodeID) })
	founders := fresh[:expect]
	if founders[0].NodeID != me.NodeID {
		return fmt.Sprintf("node %q to found the cluster", founders[0].NodeID)
	}
	return n.mint(founders)
}

func (n *Node) warnUnequal(p Peer) {
	n.warned.Lock()
	defer n.warned.Unlock()
	if n.warned.peers[p.NodeID] == p.Expect {
		return
	}
	n.warned.peers[p.NodeID] = p.Expect
	n.log.Error("nodes were given unequal --bootstrap-expect", "node", n.cfg.NodeID, "expects", n.cfg.BootstrapExpect, "other", p.NodeID, "other_expects", p.Expect)
}

// mint makes a cluster of the founders, of whom this node is the first. Each must
// grant it; no node can grant two at a time, so two minters never both succeed
// with a founder in common.
func (n *Node) mint(founders []Peer) (waitsFor string) {
	q := grantRequest{Minter: n.cfg.NodeID, ClusterID: randomID(), Expect: n.cfg.BootstrapExpect}
	servers := make([]raft.Server, len(founders))
	for i, p := range founders {
		q.Founders = append(q.Founders, p.NodeID)
		servers[i] = raft.Server{ID: raft.ServerID(p.NodeID), Address: raft.ServerAddress(p.PeerAddr), Suffrage: raft.Voter}
	}
	if err := n.grants.give(q); err != nil {
		return err.Error()
	}
	err := n.collectGrants(q, founders[1:])
	if err == nil {
		if err := n.takeSeat(q.ClusterID, servers, "founded"); err != nil {
			return fmt.Sprintf("its own disk: the cluster's log could not be begun: %v", err)
		}
		return ""
	}
	n.log.Info("cluster not founded; trying again", "err", err)
	n.grants.release(q.ClusterID)
	n.releaseGrants(q, founders[1:])
	select {
	case <-time.After(rand.N(mintPauseMax)):
	case <-n.ctx.Done():
	}
	return err.Error()
}

func (n *Node) collectGrants(q grantRequest, from []Peer) error {
	ctx, cancel := context.WithTimeout(n.ctx, mintTimeout)
	defer cancel()
	var g errgroup.Group
	for _, p := range from {
		g.Go(func() error {
			_, err := callJSON[struct{}](q, func(body []byte) (frame, error) {
				return n.callAdmission(ctx, p, methodGrant, body)
			})
			if err != nil {
				return fmt.Errorf("ask node %q to found a cluster: %w", p.NodeID, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// releaseGrants frees the founders of a cluster that will not be. It is a
// courtesy: grants lapse by themselves.
func (n *Node) releaseGrants(q grantRequest, from []Peer) {
	ctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
	defer cancel()
	var g errgroup.Group
	for _, p := range from {
		g.Go(func() error {
			_, err := callJSON[struct{}](q, func(body []byte) (frame, error) {
				return n.callAdmission(ctx, p, methodRelease, body)
			})
			n.log.Debug("grant released", "node", p.NodeID, "err", err)
			return nil
		})
	}
	g.Wait()
}

// remindFounders repeats the grants of a cluster that began and then never had a
// leader, because this node, which founded it, stopped before the others heard
// of it. That no entry follows the configuration shows that nobody voted yet.
func (n *Node) remindFounders(s *seat, stop <-chan struct{}) {
	for s.raft.LastIndex() <= 1 {
		servers, _ := s.servers()
		q := grantRequest{Minter: n.cfg.NodeID, ClusterID: n.clusterID(), Expect: len(servers), Begun: true}
		var others []Peer
		for _, server := range servers {
			q.Founders = append(q.Founders, string(server.ID))
			if string(server.ID) != n.cfg.NodeID {
				others = append(others, Peer{NodeID: string(server.ID), PeerAddr: n.book.addrOf(string(server.ID))})
			}
		}
		if len(others) == 0 {
			return
		}
		if err := n.collectGrants(q, others); err != nil {
			n.log.Debug("founders not reminded", "err", err)
		}
		select {
		case <-time.After(time.Second):
		case <-stop:
			return
		}
	}
}
