package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	singleReadyWithin = 10 * time.Second
	refusedWithin     = 15 * time.Second
	joinWithin        = 20 * time.Second
	lonelyFor         = 2 * time.Second // that a node is watched for doing nothing
)

func TestThreeFreshNodesFormOneCluster(t *testing.T) {
	harness.Require(t)
	orders := map[string][]int{"last first": {2, 0, 1}, "middle first": {1, 2, 0}}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			c := harness.NewCluster(t, 3)
			for i, at := range order {
				if i > 0 {
					time.Sleep(lonelyFor)
				}
				if i == len(order)-1 {
					neverReady(t, c.Nodes[order[0]])
				}
				c.Nodes[at].Start()
			}
			c.WaitReady()
			oneCluster(t, c.Nodes, 3)
			wroteThrough(t, c.Nodes)
		})
	}
}

func TestAFourthNodeJoinsThroughAnyMember(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	follower := c.Followers()[1]
	if a, err := follower.Client().Create("before", harness.Headers("Content-Type", text), "kept"); err != nil || a.Status != 201 {
		t.Fatalf("create: %s, %v", a, err)
	}
	fourth := harness.NewNode(t, harness.Dir(t), "n4")
	fourth.Join = []string{follower.GossipAddr}
	fourth.Start()
	fourth.WaitReady()
	c.Nodes = append(c.Nodes, fourth)
	harness.Eventually(t, joinWithin, "the fourth node votes", func() error {
		s, err := c.Nodes[0].Status()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(s.Members, func(m harness.Member) bool { return m.ID == "n4" && m.Voter }) {
			return fmt.Errorf("members %+v", s.Members)
		}
		return nil
	})
	oneCluster(t, c.Nodes, 4)
	got, err := fourth.Client().ReadAll("before", "-1", harness.LocalReads())
	if err != nil || string(got.Bytes()) != "kept" {
		t.Fatalf("the fourth node's own copy: %q, %v", got.Bytes(), err)
	}
	wroteThrough(t, c.Nodes)
	t.Logf("copies of 4 nodes equal: %+v", c.WaitEqual())
}

func TestASingleNodeIsReadyAtOnce(t *testing.T) {
	harness.Require(t)
	cases := map[string]func(n *harness.Node){
		"empty join list":        func(*harness.Node) {},
		"its own address":        func(n *harness.Node) { n.Join = []string{n.GossipAddr} },
		"its own address, twice": func(n *harness.Node) { n.Join = []string{n.GossipAddr, n.GossipAddr} },
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			n := harness.NewNode(t, harness.Dir(t), "only")
			prepare(n)
			n.Start()
			n.WaitReadyWithin(singleReadyWithin)
			oneCluster(t, []*harness.Node{n}, 1)
			n.Stop()
			n.Join = []string{"127.0.0.1:1"} // ignored: the node has state
			n.Start()
			n.WaitReadyWithin(singleReadyWithin)
		})
	}
}

func TestAJoiningNodeNeverFoundsACluster(t *testing.T) {
	harness.Require(t)
	n := harness.NewNode(t, harness.Dir(t), "lost")
	n.Join = []string{harness.FreeAddr(t)}
	n.Start()
	time.Sleep(lonelyFor)
	neverReady(t, n)
	n.Stop()
}

func TestAnotherNodeIDIsRefused(t *testing.T) {
	harness.Require(t)
	n := harness.NewNode(t, harness.Dir(t), "first")
	n.Start()
	n.WaitReady()
	n.Stop()
	n.ID = "second" // the data directory stays
	n.Start()
	if code := n.Exit(refusedWithin); code != 1 {
		t.Fatalf("exit code %d, want 1\n%s", code, n.Log())
	}
	for _, word := range []string{"first", "second", "[open_storage]"} {
		if !strings.Contains(n.Log(), word) {
			t.Errorf("the refusal does not say %q:\n%s", word, n.Log())
		}
	}
	n.ID = "first"
	n.Start()
	n.WaitReady()
}

// TestANodeOfAnotherClusterIsRefused puts a node that has a cluster of its own
// in the place of a member: same node id, same addresses, another data
// directory.
func TestANodeOfAnotherClusterIsRefused(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	wroteThrough(t, c.Nodes)
	member := c.Followers()[0]
	member.Stop()

	stranger := harness.NewNode(t, harness.Dir(t), member.ID)
	stranger.Start() // founds its own cluster, elsewhere
	stranger.WaitReady()
	if a, err := stranger.Client().Create("strange", harness.Headers("Content-Type", text), "other"); err != nil || a.Status != 201 {
		t.Fatalf("create: %s, %v", a, err)
	}
	own, err := stranger.Status()
	if err != nil {
		t.Fatal(err)
	}
	stranger.Stop()
	stranger.Addr, stranger.PeerAddr, stranger.GossipAddr, stranger.Join = member.Addr, member.PeerAddr, member.GossipAddr, member.Join
	stranger.Start()
	time.Sleep(lonelyFor)

	rest := slices.DeleteFunc(slices.Clone(c.Nodes), func(n *harness.Node) bool { return n == member })
	refusal := "another cluster"
	harness.Eventually(t, refusedWithin, "a refusal in some log", func() error {
		for _, n := range append(rest, stranger) {
			if strings.Contains(harness.LogTail(n.LogPath, 10_000), refusal) {
				return nil
			}
		}
		return fmt.Errorf("no node says %q", refusal)
	})
	wroteThrough(t, rest)
	for _, n := range rest {
		if a, err := n.Client().Head("strange", nil); err != nil || a.Status != 404 {
			t.Errorf("the other cluster's stream at %s: %s, %v", n.ID, a, err)
		}
	}
	if now, err := stranger.Status(); err == nil && now.ClusterID != own.ClusterID {
		t.Errorf("the stranger's cluster was %s and is %s", own.ClusterID, now.ClusterID)
	}
	if a, err := stranger.Client().Read("written-0", "-1", harness.LocalReads()); err == nil && a.Status == 200 {
		t.Errorf("the stranger has the cluster's stream: %s", a)
	}
	stranger.Kill()
	member.Start()
	member.WaitReady()
	t.Logf("copies equal after the stranger has left: %+v", c.WaitEqual())
}

// neverReady wants a node that runs, answers, and is not ready.
func neverReady(t *testing.T, n *harness.Node) {
	t.Helper()
	a, err := n.Client().Get("/readyz", nil)
	if err != nil || a.Status != 503 {
		t.Fatalf("%s alone: want 503 from /readyz, got %s, %v", n.ID, a, err)
	}
}

// oneCluster wants the same cluster id, leader and members from each node.
func oneCluster(t *testing.T, nodes []*harness.Node, members int) {
	t.Helper()
	harness.Eventually(t, joinWithin, "one cluster", func() error {
		var first harness.Status
		for i, n := range nodes {
			s, err := n.Status()
			if err != nil {
				return err
			}
			if i == 0 {
				first = s
			}
			if s.ClusterID == "" || s.ClusterID != first.ClusterID || s.Leader == "" || s.Leader != first.Leader || len(s.Members) != members {
				return fmt.Errorf("%s says %+v, %s says %+v", n.ID, s, nodes[0].ID, first)
			}
		}
		return nil
	})
}

// wroteThrough writes through each node and reads through each other.
func wroteThrough(t *testing.T, nodes []*harness.Node) {
	t.Helper()
	for i, w := range nodes {
		name := fmt.Sprintf("written-%d", i)
		want := fmt.Sprintf("by %s at %d", w.ID, time.Now().UnixNano())
		if a, err := w.Client().Delete(name); err != nil || a.Status != 204 && a.Status != 404 {
			t.Fatalf("delete through %s: %s, %v", w.ID, a, err)
		}
		if a, err := w.Client().Create(name, harness.Headers("Content-Type", text), want); err != nil || a.Status != 201 {
			t.Fatalf("create through %s: %s, %v", w.ID, a, err)
		}
		for _, r := range nodes {
			got, err := r.Client().ReadAll(name, "-1", nil)
			if err != nil || string(got.Bytes()) != want {
				t.Fatalf("written through %s, read through %s: %q, %v, want %q", w.ID, r.ID, got.Bytes(), err, want)
			}
		}
	}
}
