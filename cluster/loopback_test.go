package cluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/prometheus/client_golang/prometheus"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// freeAddr looks below the ports that the kernel gives to outgoing connections,
// of which other tests make many, and wants the port for both TCP and UDP.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", addr)
		l.Close()
		if err != nil {
			continue
		}
		u.Close()
		return addr
	}
	t.Fatal("no free port on loopback")
	return ""
}

// realNode is a node on loopback with everything the product uses below it.
type realNode struct {
	*clustertest.Member
	registry *prometheus.Registry
	closers  []func() error
}

func (n *realNode) stop(t *testing.T) {
	t.Helper()
	for _, c := range append([]func() error{n.Close}, n.closers...) {
		if err := c(); err != nil {
			t.Errorf("%s: %v", n.ID, err)
		}
	}
}

func startReal(t *testing.T, dir, id, peer, gossip string, expect int, join []string) *realNode {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "log"), 0o755))
	meta := &metadb.BoltMetaDB{} // the wal does not close its own
	log, err := wal.Open(filepath.Join(dir, "log"), wal.WithMetaStore(meta))
	must(err)
	stable, err := raftboltdb.NewBoltStore(filepath.Join(dir, "stable.db"))
	must(err)
	snapshots, err := raft.NewFileSnapshotStore(dir, 1, os.Stderr)
	must(err)
	o := options()
	g, err := cluster.NewGossip(cluster.GossipConfig{NodeID: id, Bind: gossip, Log: o.Log})
	must(err)
	registry := prometheus.NewPedanticRegistry()
	var node *cluster.Node
	opened := make(chan struct{})
	m := clustertest.NewCounter(func(index, term uint64) {
		<-opened
		node.AppliedHook(index, term)
	})
	stores := cluster.Stores{Log: log, Stable: stable, Snapshots: snapshots, Identity: identityOf(dir)}
	node, err = cluster.Open(cluster.Config{
		NodeID: id, AdvertisePeer: peer, Join: join, BootstrapExpect: expect, Log: o.Log, Metrics: registry,
	}, m, stores, cluster.TCP{Bind: peer}, g)
	must(err)
	close(opened)
	return &realNode{
		Member: &clustertest.Member{Node: node, ID: id, Machine: m}, registry: registry,
		closers: []func() error{log.Close, meta.Close, stable.Close},
	}
}

// identities outlive nodes, as files would.
var identities = map[string]*clustertest.Identity{}

func identityOf(dir string) *clustertest.Identity {
	if identities[dir] == nil {
		identities[dir] = &clustertest.Identity{}
	}
	return identities[dir]
}

func waitReal(t *testing.T, nodes ...*realNode) *realNode {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		var err error
		var leader *realNode
		for _, n := range nodes {
			if e := n.Ready(); e != nil {
				err = fmt.Errorf("%s: %w", n.ID, e)
			}
			if l, _, _ := n.Leader(); l == n.ID {
				leader = n
			}
		}
		if err == nil && leader != nil {
			return leader
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Real gossip, TCP, raft-wal and bolt: three nodes found a cluster, take writes
// through each, lose their leader, and take it back.
func TestRealNodesOnLoopback(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds of real time")
	}
	before := runtime.NumGoroutine()
	base := t.TempDir()
	var peers, gossips, ids []string
	for i := range 3 {
		ids = append(ids, fmt.Sprintf("n%d", i+1))
		peers = append(peers, freeAddr(t))
		gossips = append(gossips, freeAddr(t))
	}
	start := func(i int) *realNode {
		return startReal(t, filepath.Join(base, ids[i]), ids[i], peers[i], gossips[i], 3, gossips)
	}
	nodes := []*realNode{start(0), start(1), start(2)}
	leader := waitReal(t, nodes...)
	for i := range 30 {
		submit(t, nodes[i%3].Member, fmt.Sprint(i))
		fence(t, nodes[(i+1)%3].Member)
		if got := len(logOf(nodes[(i+1)%3].Member)); got != i+1 {
			t.Fatalf("%d of %d visible after the fence", got, i+1)
		}
	}
	var rest []*realNode
	at := 0
	for i, n := range nodes {
		if n == leader {
			at = i
		} else {
			rest = append(rest, n)
		}
	}
	leader.stop(t)
	began := time.Now()
	submit(t, rest[0].Member, "after")
	t.Logf("first append %v after the leader was stopped", time.Since(began))
	nodes[at] = start(at)
	waitReal(t, nodes...)
	fence(t, nodes[at].Member)
	if got := len(logOf(nodes[at].Member)); got != 31 {
		t.Fatalf("the restarted node holds %d of 31", got)
	}
	families, err := nodes[at].registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		found[f.GetName()] = true
	}
	for _, name := range []string{
		"mainstem_raft_is_leader", "mainstem_raft_term", "mainstem_raft_commit_index", "mainstem_raft_applied_index", "mainstem_raft_peers",
		"mainstem_raft_failure_tolerance", "mainstem_raft_leader_changes_total", "mainstem_raft_last_contact_seconds", "mainstem_append_stage_seconds",
		"mainstem_batch_commands", "mainstem_batch_bytes", "mainstem_forwards_total", "mainstem_fence_seconds", "mainstem_gossip_members",
	} {
		if !found[name] {
			t.Errorf("metric %s is missing", name)
		}
	}
	for _, n := range nodes {
		n.stop(t)
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, there were %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestGossipRefusesOtherCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds of real time")
	}
	addrs := map[string]string{}
	for _, id := range []string{"a1", "a2", "b1", "fresh"} {
		addrs[id] = freeAddr(t)
	}
	open := func(id, clusterID string, seeds ...string) *cluster.Gossip {
		g, err := cluster.NewGossip(cluster.GossipConfig{NodeID: id, Bind: addrs[id], Log: options().Log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
		if err := g.Start(cluster.Peer{NodeID: id, ClusterID: clusterID, PeerAddr: id + ":1"}, seeds); err != nil {
			t.Fatal(err)
		}
		return g
	}
	a1 := open("a1", "A")
	a2 := open("a2", "A", addrs["a1"])
	b1 := open("b1", "B", addrs["a1"])
	fresh := open("fresh", "", addrs["a1"])
	see := func(g *cluster.Gossip) map[string]bool {
		out := map[string]bool{}
		for _, p := range g.Peers() {
			out[p.NodeID] = true
		}
		return out
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for len(see(a1)) < 2 || len(see(a2)) < 2 || len(see(fresh)) < 2 {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("a1 sees %v, a2 %v, fresh %v", see(a1), see(a2), see(fresh))
		}
	}
	time.Sleep(time.Second)
	if see(a1)["b1"] || see(a2)["b1"] || len(see(b1)) > 0 && (see(b1)["a1"] || see(b1)["a2"]) {
		t.Fatalf("clusters mix: a1 sees %v, a2 %v, b1 %v", see(a1), see(a2), see(b1))
	}
	if !a1.Self(addrs["a1"]) || a1.Self(addrs["a2"]) {
		t.Fatal("a node does not know its own address")
	}
}

func TestUnresolvedAdvertisedNameIsNotFatal(t *testing.T) {
	g, err := cluster.NewGossip(cluster.GossipConfig{NodeID: "n", Bind: freeAddr(t), Advertise: "no.such.host.invalid:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(cluster.Peer{NodeID: "n", PeerAddr: "n:1"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}
