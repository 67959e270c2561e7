package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
	"mainstem/httpapi"
	"mainstem/scrub"
	"mainstem/storage"
)

// Options say how a cluster differs from a plain one of three nodes.
type Options struct {
	Dir    string // for the raft logs; required
	OnDisk bool   // everything else is in Dir too, as the product lays it out
	Nodes  int    // 3
	Seed   uint64
	Delay  time.Duration // at most, of what arrives from a peer; 0: none
	Log    *slog.Logger  // discarded

	Cluster func(*cluster.Config)
	HTTP    func(*httpapi.Config)
	Scrub   func(*scrub.Config)
	// Writer, Fencer and Reader may put something between a node's HTTP face and
	// its inside. Mutants live there.
	Writer func(*Node, httpapi.Writer) httpapi.Writer
	Fencer func(*Node, httpapi.Fencer) httpapi.Fencer
	Reader func(*Node, httpapi.Reader) httpapi.Reader
	// Machine may put something between the log and a node's machine.
	Machine func(*Node, cluster.Machine) cluster.Machine
}

// Cluster is a set of nodes, their network and their disks.
type Cluster struct {
	Net *clustertest.Network
	IDs []string // of all nodes, running or not

	t        testing.TB
	opts     Options
	gossip   *clustertest.Gossip
	restored atomic.Int64 // copies replaced by a snapshot
	disks    map[string]*disk
	clocks   map[string]*Clock

	mu    sync.Mutex // guards what follows
	rng   *rand.Rand
	nodes map[string]*Node // that run
}

// New starts a cluster and waits until it serves. It is closed when the test
// ends.
func New(t testing.TB, opts Options) *Cluster {
	t.Helper()
	if opts.Nodes == 0 {
		opts.Nodes = 3
	}
	if opts.Log == nil {
		opts.Log = discard()
	}
	network := clustertest.NewNetwork()
	c := &Cluster{
		Net: network, t: t, opts: opts, gossip: clustertest.NewGossip(network),
		disks: map[string]*disk{}, clocks: map[string]*Clock{}, nodes: map[string]*Node{},
		rng: rand.New(rand.NewPCG(opts.Seed, 1)),
	}
	for i := range opts.Nodes {
		id := fmt.Sprintf("n%d", i+1)
		c.IDs = append(c.IDs, id)
		c.disks[id], c.clocks[id] = c.newDisk(id), &Clock{}
	}
	t.Cleanup(c.Close)
	for _, id := range c.IDs {
		c.Start(id)
	}
	c.WaitReady()
	return c
}

// Start starts a node with what its disk holds.
func (c *Cluster) Start(id string) *Node {
	c.t.Helper()
	n, err := c.TryStart(id)
	if err != nil {
		c.t.Fatalf("start %s: %v", id, err)
	}
	return n
}

// TryStart starts a node that may refuse to.
func (c *Cluster) TryStart(id string) (*Node, error) {
	o, err := c.disks[id].open(id, func(err error) { c.t.Errorf("%s dies: %v", id, err) })
	if err != nil {
		return nil, fmt.Errorf("open the disk: %w", err)
	}
	n, err := openNode(parts{
		id: id, clock: c.clocks[id], host: newHost(c.Net.Host(id), c.delay()), disco: c.gossip.Node(id),
		disk: o, opts: &c.opts, members: c.IDs, restored: &c.restored,
	})
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = n
	return n, nil
}

func (c *Cluster) newDisk(id string) *disk {
	if c.opts.OnDisk {
		return newRealDisk(c.opts.Dir, id)
	}
	return newDisk(c.opts.Dir, id)
}

// DataDir is where a node's data lies, with Options.OnDisk.
func (c *Cluster) DataDir(id string) storage.Dir { return c.disks[id].dir }

func (c *Cluster) delay() func() time.Duration {
	if c.opts.Delay == 0 {
		return nil
	}
	return func() time.Duration {
		c.mu.Lock()
		defer c.mu.Unlock()
		return time.Duration(c.rng.Int64N(int64(c.opts.Delay)))
	}
}

// Add starts a further node, which joins.
func (c *Cluster) Add(id string) *Node {
	c.t.Helper()
	c.IDs = append(c.IDs, id)
	c.disks[id], c.clocks[id] = c.newDisk(id), &Clock{}
	return c.Start(id)
}

// Clock is a node's clock, which outlives it.
func (c *Cluster) Clock(id string) *Clock { return c.clocks[id] }

// Node returns a running node, or nil.
func (c *Cluster) Node(id string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// Running lists the nodes that run.
func (c *Cluster) Running() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*Node
	for _, id := range c.IDs {
		if n := c.nodes[id]; n != nil {
			out = append(out, n)
		}
	}
	return out
}

// Crash cuts the power of nodes at once, and drops what they had not synced.
func (c *Cluster) Crash(ids ...string) {
	c.t.Helper()
	var all sync.WaitGroup
	for _, id := range ids {
		n := c.remove(id)
		if n == nil {
			continue
		}
		all.Go(func() {
			if err := n.crash(); err != nil {
				c.t.Errorf("close %s after its crash: %v", id, err)
			}
		})
	}
	all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.disks[id].powerCut(c.rng)
	}
}

// Stop ends a node as SIGTERM does.
func (c *Cluster) Stop(id string) {
	c.t.Helper()
	if n := c.remove(id); n != nil {
		if err := n.terminate(); err != nil {
			c.t.Errorf("stop %s: %v", id, err)
		}
	}
}

func (c *Cluster) remove(id string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[id]
	delete(c.nodes, id)
	return n
}

// Close ends all nodes.
func (c *Cluster) Close() {
	c.t.Helper()
	c.Net.Heal()
	var all sync.WaitGroup
	for _, id := range c.IDs {
		all.Go(func() {
			if n := c.remove(id); n != nil {
				if err := n.crash(); err != nil {
					c.t.Errorf("close %s: %v", id, err)
				}
			}
		})
	}
	all.Wait()
}

// Eventually reports whether cond became true in time.
func (c *Cluster) Eventually(cond func() bool) bool { return clustertest.Eventually(cond) }

// WaitReady waits until all nodes that run are ready.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	for _, n := range c.Running() {
		var err error
		if !c.Eventually(func() bool { err = n.Cluster.Ready(); return err == nil }) {
			c.t.Fatalf("%s is not ready: %v", n.ID, err)
		}
	}
}

// WaitLeader waits until the named nodes, or all that run, know one leader among
// them.
func (c *Cluster) WaitLeader(ids ...string) *Node {
	c.t.Helper()
	if len(ids) == 0 {
		for _, n := range c.Running() {
			ids = append(ids, n.ID)
		}
	}
	leader := ""
	agreed := c.Eventually(func() bool {
		leader = ""
		for _, id := range ids {
			l, _, known := c.Node(id).Cluster.Leader()
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

// Others are the ids of all nodes but one.
func (c *Cluster) Others(id string) []string {
	return slices.DeleteFunc(slices.Clone(c.IDs), func(other string) bool { return other == id })
}

// Equal waits until all nodes have applied the same and tells whether their
// copies are equal, byte for byte.
func (c *Cluster) Equal() error {
	sums := map[string]string{}
	var failed error
	same := c.Eventually(func() bool {
		clear(sums)
		applied := map[uint64]bool{}
		for _, n := range c.Running() {
			applied[n.Machine.Applied()] = true
			sum, err := n.Engine.Checksum(context.Background())
			failed = errors.Join(failed, err)
			sums[n.ID] = fmt.Sprintf("%d keys, %d bytes, %s", sum.Keys, sum.Bytes, sum.Hash)
		}
		return len(applied) == 1 || failed != nil
	})
	switch {
	case failed != nil:
		return fmt.Errorf("checksum: %w", failed)
	case !same:
		return errors.New("the nodes never applied the same")
	}
	for _, sum := range sums {
		if sum != sums[c.IDs[0]] {
			return fmt.Errorf("copies differ: %v", sums)
		}
	}
	return nil
}

// WaitEqual wants Equal.
func (c *Cluster) WaitEqual() {
	c.t.Helper()
	if err := c.Equal(); err != nil {
		c.t.Fatal(err)
	}
}

// isolate cuts a node off from all others.
func (c *Cluster) isolate(id string) { c.Net.Isolate(id, c.IDs...) }
