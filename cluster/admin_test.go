package cluster_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// fourth adds n4 to a cluster of three and waits for its vote.
func fourth(t *testing.T) *clustertest.Cluster {
	t.Helper()
	c := clustertest.Of(t, 3, options())
	c.Start("n4", 1, "n1", "n2")
	votes := c.Eventually(func() bool {
		for _, m := range c.Node("n1").Status(t.Context()).Members {
			if m.NodeID == "n4" && m.Voter {
				return true
			}
		}
		return false
	})
	if !votes {
		t.Fatal("n4 got no vote")
	}
	return c
}

func isRemoved(m *clustertest.Member) func() bool {
	return func() bool {
		select {
		case <-m.Removed():
			return true
		default:
			return false
		}
	}
}

func TestRemovedNodeDoesNotComeBackWithItsData(t *testing.T) {
	for name, away := range map[string]bool{"while it runs": false, "while it is away": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := fourth(t)
				if away {
					c.Stop("n4")
				}
				if err := c.Node("n2").Remove(t.Context(), "n4"); err != nil {
					t.Fatal(err)
				}
				if away {
					c.Start("n4", 1, "n1", "n2")
				}
				if !c.Eventually(isRemoved(c.Node("n4"))) {
					t.Fatal("n4 does not know that it was removed")
				}
				if err := c.Node("n4").Ready(); err == nil {
					t.Fatal("n4 is ready")
				}
				c.Stop("n4")
				if _, err := c.TryStart("n4", 1, "n1"); err == nil || !strings.Contains(err.Error(), "was removed from cluster") {
					t.Fatalf("n4 came back: %v", err)
				}
				c.Wipe("n4")
				c.Start("n4", 1, "n1")
				c.WaitReady("n4")
				submit(t, c.Node("n4"), "x")
			})
		})
	}
}

func TestTheLeaderCanBeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fourth(t)
		leader := c.WaitLeader()
		if err := c.Follower().Remove(t.Context(), leader.ID); err != nil {
			t.Fatal(err)
		}
		if !c.Eventually(isRemoved(leader)) {
			t.Fatal("it does not know that it was removed")
		}
		c.Stop(leader.ID)
		submit(t, c.Follower(), "x")
		if got := len(c.WaitLeader().Status(t.Context()).Members); got != 3 {
			t.Fatalf("%d members", got)
		}
	})
}

func TestRemovalsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		refused := func(id, why string) {
			t.Helper()
			err := c.Follower().Remove(t.Context(), id)
			if !cluster.Refused(err) || !strings.Contains(err.Error(), why) {
				t.Fatalf("remove %s: %v, want a refusal with %q", id, err, why)
			}
		}
		refused("n9", "no member")
		away := c.Follower().ID
		c.Stop(away)
		for _, id := range c.IDs() {
			if id != c.WaitLeader().ID {
				refused(id, "in reach")
			}
		}
		if err := c.Follower().Remove(t.Context(), away); err != nil {
			t.Fatalf("the one that is away: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 1, options())
		if err := c.Node("n1").Remove(t.Context(), "n1"); !cluster.Refused(err) || !strings.Contains(err.Error(), "last voter") {
			t.Fatalf("the last voter: %v", err)
		}
	})
}

func TestLeadershipGoesWhereTheOperatorSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		for range 3 {
			for _, id := range c.IDs() {
				if err := c.Node("n2").Transfer(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				if got := c.WaitLeader().ID; got != id {
					t.Fatalf("%s leads, want %s", got, id)
				}
			}
		}
		before := c.WaitLeader().ID
		if err := c.Node(before).Transfer(t.Context(), ""); err != nil || c.WaitLeader().ID == before {
			t.Fatalf("to anybody: %v, %s leads", err, c.WaitLeader().ID)
		}
		if err := c.Node("n1").Transfer(t.Context(), "n9"); !cluster.Refused(err) {
			t.Fatalf("to nobody: %v", err)
		}
	})
}

func TestAFreshNodeSeeksTheClusterItIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		c.Start("n4", 1, "nowhere")
		time.Sleep(5 * time.Second)
		if c.Node("n4").Ready() == nil {
			t.Fatal("n4 is ready by itself")
		}
		if err := c.Node("n4").Seek(t.Context(), "n2"); err != nil {
			t.Fatal(err)
		}
		if err := c.Node("n4").Seek(t.Context(), "n2"); !cluster.Refused(err) {
			t.Fatalf("a member was told to join: %v", err)
		}
		c.WaitReady("n4")
	})
}

// A node whose log went into a snapshot and whose term and vote were lost could
// vote twice in the snapshot's term.
func TestALostVoteIsNoticedBehindASnapshot(t *testing.T) {
	stores := clustertest.NewStores()
	if err := stores.Identity.Save(cluster.Identity{NodeID: "n1", ClusterID: "C", DirectoryID: "d"}); err != nil {
		t.Fatal(err)
	}
	_, transport := raft.NewInmemTransport("n1")
	defer transport.Close()
	sink, err := stores.Snapshots.Create(raft.SnapshotVersionMax, 10, 7, raft.Configuration{}, 1, transport)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Stores = func(string) cluster.Stores { return stores }
	c := clustertest.New(t, o)
	if _, err := c.TryStart("n1", 1); err == nil || !strings.Contains(err.Error(), "mainstem recover refill") {
		t.Fatalf("it started without its term: %v", err)
	}
}
