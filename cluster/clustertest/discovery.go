package clustertest

import (
	"slices"
	"sync"

	"mainstem/cluster"
)

// Gossip is discovery in memory. Nodes see each other when the join addresses
// link them, over any number of steps, and the network between them works.
type Gossip struct {
	network *Network

	mu    sync.Mutex // guards nodes
	nodes map[string]*Discovery
}

// NewGossip makes gossip that follows a network's cuts.
func NewGossip(n *Network) *Gossip { return &Gossip{network: n, nodes: map[string]*Discovery{}} }

// Discovery is one node's cluster.Discovery. Its gossip address is its name.
type Discovery struct {
	gossip  *Gossip
	name    string
	changed chan struct{}

	// guarded by the gossip's lock
	me    cluster.Peer
	seeds []string
}

// Node gives a node its place in gossip.
func (g *Gossip) Node(name string) *Discovery {
	return &Discovery{gossip: g, name: name, changed: make(chan struct{}, 1)}
}

// Start implements cluster.Discovery.
func (d *Discovery) Start(me cluster.Peer, seeds []string) error {
	g := d.gossip
	g.mu.Lock()
	defer g.mu.Unlock()
	d.me, d.seeds = me, slices.Clone(seeds)
	g.nodes[d.name] = d
	g.tell()
	return nil
}

// Publish implements cluster.Discovery.
func (d *Discovery) Publish(me cluster.Peer) error {
	d.gossip.mu.Lock()
	defer d.gossip.mu.Unlock()
	d.me = me
	d.gossip.tell()
	return nil
}

// Seed implements cluster.Discovery.
func (d *Discovery) Seed(addrs []string) {
	d.gossip.mu.Lock()
	defer d.gossip.mu.Unlock()
	for _, a := range addrs {
		if !slices.Contains(d.seeds, a) {
			d.seeds = append(d.seeds, a)
		}
	}
}

// Peers implements cluster.Discovery.
func (d *Discovery) Peers() []cluster.Peer {
	g := d.gossip
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := map[string]bool{d.name: true}
	var out []cluster.Peer
	for next := []*Discovery{d}; len(next) > 0; next = next[1:] {
		for name, o := range g.nodes {
			if seen[name] || !g.linked(next[0], o) {
				continue
			}
			seen[name] = true
			next = append(next, o)
			p := o.me
			p.GossipAddr = name
			if d.me.ClusterID == "" || p.ClusterID == "" || d.me.ClusterID == p.ClusterID {
				out = append(out, p)
			}
		}
	}
	return out
}

// linked reports that two nodes gossip directly. The lock is held.
func (g *Gossip) linked(a, b *Discovery) bool {
	if a.me.ClusterID != "" && b.me.ClusterID != "" && a.me.ClusterID != b.me.ClusterID {
		return false
	}
	return (slices.Contains(a.seeds, b.name) || slices.Contains(b.seeds, a.name)) && g.network.reachable(a.name, b.name)
}

// tell wakes all nodes. The lock is held.
func (g *Gossip) tell() {
	for _, d := range g.nodes {
		select {
		case d.changed <- struct{}{}:
		default:
		}
	}
}

// Changed implements cluster.Discovery.
func (d *Discovery) Changed() <-chan struct{} { return d.changed }

// GossipAddr implements cluster.Discovery.
func (d *Discovery) GossipAddr() string { return d.name }

// Self implements cluster.Discovery.
func (d *Discovery) Self(addr string) bool { return addr == d.name }

// Close implements cluster.Discovery.
func (d *Discovery) Close() error {
	g := d.gossip
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.nodes[d.name] == d {
		delete(g.nodes, d.name)
		g.tell()
	}
	return nil
}
