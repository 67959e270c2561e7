package cluster

import (
	"context"

	"github.com/hashicorp/raft"
)

// Hint is a commit hint as tests see it.
type Hint = hint

// WatchHints calls before ahead of each hint's last checks, where it may block,
// and delivered with each that goes out.
func (n *Node) WatchHints(before func(Hint), delivered func(*raft.AppendEntriesRequest)) {
	send := n.hintSender(func(s *seat, to raft.Server, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) error {
		delivered(q)
		return byTransport(s, to, q, a)
	})
	n.hinter.mu.Lock()
	defer n.hinter.mu.Unlock()
	n.hinter.send = func(to raft.Server, h hint) (bool, error) {
		before(h)
		return send(to, h)
	}
}

// NotedHint is the newest hint that this node has taken up.
func (n *Node) NotedHint() Hint {
	h, _ := n.hinter.latest()
	return h
}

// Term is raft's current term.
func (n *Node) Term() uint64 { return n.seat.Load().raft.CurrentTerm() }

// ForgetSpace makes this node believe that there is space everywhere, until it
// hears otherwise.
func (n *Node) ForgetSpace() { n.space.full.Store(nil) }

// Greet introduces a node of a cluster at a peer address, and returns what it was
// told.
func Greet(ctx context.Context, network Network, addr, from, clusterID string) error {
	c, err := network.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return greet(c, hello{Kind: connRPC, From: from, ClusterID: clusterID})
}

// RingKeys are the keys that memberlist works with, in its order. They are read as
// it reads them: without a lock.
func (k *Keyring) RingKeys() (keys []string) {
	for _, key := range k.ring.GetKeys() {
		keys = append(keys, Fingerprint(key))
	}
	return keys
}

// RefuseLevel asks whether an entry of some level would be proposed.
func (n *Node) RefuseLevel(need byte) error { return n.refuseLevel(need) }

// Told is the level of a node that tells this one.
func Told(level byte) byte { return told(level) }

// ForgetLevel makes this node believe that all members understand everything, until
// it hears from one.
func (n *Node) ForgetLevel() { n.levels.now.Store(255) }
