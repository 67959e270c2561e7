package cluster

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/memberlist"
)

// NodeMeta implements memberlist.Delegate.
func (g *Gossip) NodeMeta(int) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.meta
}

// NotifyMsg implements memberlist.Delegate. Nothing is sent that way.
func (g *Gossip) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (g *Gossip) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (g *Gossip) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (g *Gossip) MergeRemoteState([]byte, bool) {}

// NotifyJoin implements memberlist.EventDelegate.
func (g *Gossip) NotifyJoin(m *memberlist.Node) { g.note(m) }

// NotifyUpdate implements memberlist.EventDelegate.
func (g *Gossip) NotifyUpdate(m *memberlist.Node) { g.note(m) }

// NotifyLeave implements memberlist.EventDelegate.
func (g *Gossip) NotifyLeave(m *memberlist.Node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.peers[m.Name]; ok {
		delete(g.peers, m.Name)
		g.wake()
	}
}

// NotifyAlive implements memberlist.AliveDelegate: news of a node of another
// cluster is refused.
func (g *Gossip) NotifyAlive(m *memberlist.Node) error { return g.judge(m) }

// NotifyMerge implements memberlist.MergeDelegate: so is an exchange with one.
func (g *Gossip) NotifyMerge(nodes []*memberlist.Node) error {
	for _, m := range nodes {
		if err := g.judge(m); err != nil {
			return err
		}
	}
	return nil
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (g *Gossip) NotifyConflict(existing, other *memberlist.Node) {
	g.log.Error("two nodes use one node id; give each its own", "id", existing.Name, "one", existing.Address(), "other", other.Address())
}

func (g *Gossip) judge(m *memberlist.Node) error {
	p, err := parsePeer(m)
	if err != nil {
		return nil // it has not said yet who it is
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.foreign(p) {
		return nil
	}
	why := otherCluster(g.me.ClusterID, p.ClusterID)
	if g.refuse[p.NodeID] != p.ClusterID && len(g.refuse) < seedsMax {
		g.refuse[p.NodeID] = p.ClusterID
		g.log.Warn("a node of another cluster was refused in gossip", "from", p.NodeID, "its_cluster", p.ClusterID, "cluster", g.me.ClusterID, "why", why)
	}
	return errors.New(why)
}

// foreign reports that p is of another cluster. The lock is held.
func (g *Gossip) foreign(p Peer) bool {
	return g.me.ClusterID != "" && p.ClusterID != "" && p.ClusterID != g.me.ClusterID
}

func (g *Gossip) note(m *memberlist.Node) {
	if m.Name == g.cfg.NodeID {
		return
	}
	p, err := parsePeer(m)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil || g.foreign(p) {
		delete(g.peers, m.Name)
		return
	}
	if g.peers[m.Name] != p {
		g.peers[m.Name] = p
		g.wake()
	}
}

func (g *Gossip) wake() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

func parsePeer(m *memberlist.Node) (Peer, error) {
	var p Peer
	if err := json.Unmarshal(m.Meta, &p); err != nil {
		return p, fmt.Errorf("decode gossip metadata of %s: %w", m.Name, err)
	}
	if p.NodeID != m.Name || p.PeerAddr == "" {
		return p, fmt.Errorf("gossip metadata of %s is not its own", m.Name)
	}
	p.GossipAddr = m.Address()
	return p, nil
}
