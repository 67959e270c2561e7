package clustertest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/cluster"
)

// waitMax bounds every wait for a cluster to do something.
const waitMax = 60 * time.Second

// Options say what a Cluster is made of. Zero values mean the documented
// default.
type Options struct {
	// Machine makes a node's machine, anew at each start: NewCounter. hook is to
	// be called after each applied batch.
	Machine func(id string, hook func(index, term uint64)) cluster.Machine
	// Stores opens a node's stores at each start: in memory, kept across starts.
	Stores func(id string) cluster.Stores
	// Config changes a node's configuration before it starts.
	Config func(id string, cfg *cluster.Config)
	// Network puts something around a node's network before it starts.
	Network func(id string, n cluster.Network) cluster.Network
	// Stopped is called after a node is closed.
	Stopped func(id string)
	Log     *slog.Logger
}

// Cluster is a set of nodes in this process.
type Cluster struct {
	Net    *Network
	Gossip *Gossip
	// Rehost says on which host a node starts; its own id when nil.
	Rehost func(id string) string

	t      testing.TB
	opts   Options
	nodes  map[string]*Member
	stores map[string]cluster.Stores
}

// Member is one running node.
type Member struct {
	*cluster.Node
	ID      string
	Machine cluster.Machine
}

// New makes a cluster without nodes. Those that still run when the test ends are
// closed then, unless Close was called before.
func New(t testing.TB, opts Options) *Cluster {
	network := NewNetwork()
	c := &Cluster{
		Net: network, Gossip: NewGossip(network),
		t: t, opts: opts, nodes: map[string]*Member{}, stores: map[string]cluster.Stores{},
	}
	if c.opts.Machine == nil {
		c.opts.Machine = func(_ string, hook func(uint64, uint64)) cluster.Machine { return NewCounter(hook) }
	}
	if c.opts.Stores == nil {
		c.opts.Stores = c.memoryStores
	}
	t.Cleanup(c.Close)
	return c
}

// Of starts n nodes, n1 to nn, that found a cluster together, and waits until
// all are ready.
func Of(t testing.TB, n int, opts Options) *Cluster {
	c := New(t, opts)
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("n%d", i+1))
	}
	for _, id := range ids {
		c.Start(id, n, ids...)
	}
	c.WaitReady(ids...)
	return c
}

func (c *Cluster) memoryStores(id string) cluster.Stores {
	s, ok := c.stores[id]
	if !ok {
		s = NewStores()
		c.stores[id] = s
	}
	return s
}

// Start starts a node, fresh or with what its stores hold.
func (c *Cluster) Start(id string, expect int, join ...string) *Member {
	c.t.Helper()
	m, err := c.TryStart(id, expect, join...)
	if err != nil {
		c.t.Fatalf("start %s: %v", id, err)
	}
	return m
}

// TryStart is Start for a node that may be refused.
func (c *Cluster) TryStart(id string, expect int, join ...string) (*Member, error) {
	var node atomic.Pointer[cluster.Node]
	m := c.opts.Machine(id, func(index, term uint64) {
		if n := node.Load(); n != nil {
			n.AppliedHook(index, term)
		}
	})
	cfg := cluster.Config{
		NodeID: id, AdvertisePeer: Addr(id), AdvertiseHTTP: id + ":4437", Version: "test",
		Join: slices.Clone(join), BootstrapExpect: expect, Log: c.opts.Log,
	}
	if c.opts.Config != nil {
		c.opts.Config(id, &cfg)
	}
	host := id
	if c.Rehost != nil {
		host = c.Rehost(id)
	}
	var network cluster.Network = c.Net.Host(host)
	if c.opts.Network != nil {
		network = c.opts.Network(id, network)
	}
	n, err := cluster.Open(cfg, m, c.opts.Stores(id), network, c.Gossip.Node(host))
	if err != nil {
		return nil, err
	}
	node.Store(n)
	c.nodes[id] = &Member{Node: n, ID: id, Machine: m}
	return c.nodes[id], nil
}

// Node returns a running node.
func (c *Cluster) Node(id string) *Member {
	c.t.Helper()
	m := c.nodes[id]
	if m == nil {
		c.t.Fatalf("node %s does not run", id)
	}
	return m
}

// Stop closes a node as SIGTERM would.
func (c *Cluster) Stop(id string) {
	c.t.Helper()
	m := c.Node(id)
	delete(c.nodes, id)
	if err := m.Close(); err != nil {
		c.t.Errorf("close %s: %v", id, err)
	}
	if c.opts.Stopped != nil {
		c.opts.Stopped(id)
	}
}

// Crash takes a node out without letting it hand anything over: nobody hears it
// any more. Its links are healed when it is gone.
func (c *Cluster) Crash(id string) {
	c.t.Helper()
	for _, other := range c.IDs() {
		if other != id {
			c.Net.Cut(id, other)
		}
	}
	c.Stop(id)
	c.Net.Heal()
}

// Wipe makes a stopped node's stores empty, as a new disk is.
func (c *Cluster) Wipe(id string) { delete(c.stores, id) }

// IDs lists the running nodes, in order.
func (c *Cluster) IDs() []string {
	var ids []string
	for id := range c.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Close closes all nodes, the last started first.
func (c *Cluster) Close() {
	c.t.Helper()
	c.Net.Heal()
	ids := c.IDs()
	slices.Reverse(ids)
	for _, id := range ids {
		c.Stop(id)
	}
}

// WaitReady waits until the named nodes, or all, are ready.
func (c *Cluster) WaitReady(ids ...string) {
	c.t.Helper()
	if len(ids) == 0 {
		ids = c.IDs()
	}
	for _, id := range ids {
		var err error
		if !c.Eventually(func() bool { err = c.Node(id).Ready(); return err == nil }) {
			c.t.Fatalf("%s is not ready: %v", id, err)
		}
	}
}

// WaitLeader waits until the named nodes, or all, know one leader among them,
// and returns it.
func (c *Cluster) WaitLeader(ids ...string) *Member {
	c.t.Helper()
	if len(ids) == 0 {
		ids = c.IDs()
	}
	var leader string
	agreed := c.Eventually(func() bool {
		leader = ""
		for _, id := range ids {
			l, _, known := c.Node(id).Leader()
			if !known || !slices.Contains(ids, l) || leader != "" && l != leader {
				return false
			}
			leader = l
		}
		return true
	})
	if !agreed {
		c.t.Fatalf("no leader among %v", ids)
	}
	return c.Node(leader)
}

// Follower returns a running node that does not lead.
func (c *Cluster) Follower() *Member {
	c.t.Helper()
	leader := c.WaitLeader()
	for _, id := range c.IDs() {
		if id != leader.ID {
			return c.Node(id)
		}
	}
	c.t.Fatal("there is no follower")
	return nil
}

// Eventually reports whether cond became true in time.
func (c *Cluster) Eventually(cond func() bool) bool { return Eventually(cond) }

// Eventually reports whether cond became true in time, which may be virtual.
func Eventually(cond func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), waitMax)
	defer cancel()
	for !cond() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
	return true
}
