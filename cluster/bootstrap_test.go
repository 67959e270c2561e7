package cluster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// oneCluster fails unless all running nodes are in one cluster, and returns its
// id.
func oneCluster(t *testing.T, c *clustertest.Cluster, voters int) string {
	t.Helper()
	id := ""
	for _, name := range c.IDs() {
		st := c.Node(name).Status(t.Context())
		if st.ClusterID == "" || id != "" && st.ClusterID != id {
			t.Fatalf("%s is in cluster %q, another in %q", name, st.ClusterID, id)
		}
		id = st.ClusterID
		n := 0
		for _, m := range st.Members {
			if m.Voter {
				n++
			}
		}
		if n != voters {
			t.Fatalf("%s sees %d voters of %d: %+v", name, n, voters, st.Members)
		}
	}
	return id
}

func TestFreshNodesFormOneCluster(t *testing.T) {
	for name, join := range map[string]map[string][]string{
		"all listed":          {"n1": {"n1", "n2", "n3"}, "n2": {"n1", "n2", "n3"}, "n3": {"n1", "n2", "n3"}},
		"first only":          {"n1": {"n1"}, "n2": {"n1"}, "n3": {"n1"}},
		"a chain":             {"n1": nil, "n2": {"n1"}, "n3": {"n2"}},
		"a chain, downwards":  {"n1": {"n2"}, "n2": {"n3"}, "n3": nil},
		"with some not there": {"n1": {"n9"}, "n2": {"n1", "n8"}, "n3": {"n1"}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				synctest.Test(t, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(seed, 1))
					c := clustertest.New(t, options())
					for _, i := range rng.Perm(3) {
						id := fmt.Sprintf("n%d", i+1)
						c.Start(id, 3, join[id]...)
						time.Sleep(time.Duration(rng.Int64N(int64(3 * time.Second))))
					}
					c.WaitReady()
					oneCluster(t, c, 3)
					submit(t, c.Node("n2"), "x")
				})
			}
		})
	}
}

func TestMoreFreshNodesThanExpectedJoin(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			c := clustertest.New(t, options())
			for _, i := range rng.Perm(5) {
				c.Start(fmt.Sprintf("n%d", i+1), 3, "n1", "n2", "n3", "n4", "n5")
				if rng.IntN(2) == 0 {
					time.Sleep(time.Duration(rng.Int64N(int64(time.Second))))
				}
			}
			c.WaitReady()
			time.Sleep(20 * time.Second) // those that joined are given a vote
			oneCluster(t, c, 5)
			if got := c.Node("n5").Status(t.Context()).FailureTolerance; got != 2 {
				t.Fatalf("failure tolerance %d of 2", got)
			}
		})
	}
}

func TestFoundersWaitForAllExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, options())
		c.Start("n1", 3, "n2", "n3")
		c.Start("n2", 3, "n1", "n3")
		time.Sleep(5 * time.Minute)
		for _, id := range c.IDs() {
			if st := c.Node(id).Status(t.Context()); st.ClusterID != "" {
				t.Fatalf("%s is in a cluster of two", id)
			}
		}
		if err := c.Node("n1").Ready(); err == nil {
			t.Fatal("n1 is ready")
		}
	})
}

func TestUnequalExpectationsDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, options())
		c.Start("n1", 3, "n2", "n3")
		c.Start("n2", 2, "n1", "n3")
		c.Start("n3", 3, "n1", "n2")
		time.Sleep(time.Minute)
		for _, id := range c.IDs() {
			if st := c.Node(id).Status(t.Context()); st.ClusterID != "" {
				t.Fatalf("%s is in a cluster", id)
			}
		}
	})
}

func TestNodeThatNamesOthersNeverFounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, options())
		c.Start("n2", 1, "n1")
		time.Sleep(time.Minute)
		if st := c.Node("n2").Status(t.Context()); st.ClusterID != "" {
			t.Fatal("n2 founded a cluster")
		}
		c.Start("n1", 1)
		c.WaitReady()
		time.Sleep(10 * time.Second)
		oneCluster(t, c, 2)
	})
}

func TestFoundingSurvivesCrashOfMinter(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond, time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.New(t, options())
				ids := []string{"n1", "n2", "n3"}
				for _, id := range ids {
					c.Start(id, 3, ids...)
				}
				time.Sleep(pause)
				c.Crash("n1")
				time.Sleep(time.Minute) // grants lapse
				c.Start("n1", 3, ids...)
				c.WaitReady()
				time.Sleep(20 * time.Second)
				oneCluster(t, c, 3)
			})
		})
	}
}

func TestFoundersThatNeverHeardAreReminded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, options())
		ids := []string{"n1", "n2", "n3"}
		for _, id := range ids {
			c.Start(id, 3, ids...)
		}
		for c.Node("n1").Status(t.Context()).ClusterID == "" {
			time.Sleep(time.Millisecond)
		}
		c.Crash("n1") // it founded the cluster and has told nobody
		founded := map[bool]int{}
		for _, id := range []string{"n2", "n3"} {
			founded[c.Node(id).Status(t.Context()).ClusterID != ""]++
		}
		if founded[true] != 0 {
			t.Skipf("%d founders had been contacted already", founded[true])
		}
		time.Sleep(time.Minute)
		c.Start("n1", 3, ids...)
		c.WaitReady()
		oneCluster(t, c, 3)
	})
}

func TestOtherClusterIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, options())
		c.Start("a1", 1)
		c.Start("b1", 1)
		c.WaitReady()
		a, b := c.Node("a1").Status(t.Context()).ClusterID, c.Node("b1").Status(t.Context()).ClusterID
		if a == b {
			t.Fatal("two nodes founded one cluster id")
		}
		c.Stop("b1")
		c.Start("b1", 1, "a1") // it has state and stays what it is
		time.Sleep(30 * time.Second)
		c.WaitReady()
		for id, want := range map[string]string{"a1": a, "b1": b} {
			st := c.Node(id).Status(t.Context())
			if st.ClusterID != want || len(st.Members) != 1 {
				t.Fatalf("%s: %+v", id, st)
			}
		}
	})
}

func TestOtherNodeIDIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		disk := clustertest.NewStores()
		o.Stores = func(string) cluster.Stores { return disk }
		c := clustertest.New(t, o)
		c.Start("n1", 1)
		c.WaitReady()
		c.Stop("n1")
		if _, err := c.TryStart("n2", 1); err == nil {
			t.Fatal("a directory was taken over by another node id")
		}
	})
}

func TestWipedVoterReturnsWithoutVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Config = func(_ string, cfg *cluster.Config) { cfg.StabilizationTime = 30 * time.Second }
		c := clustertest.Of(t, 3, o)
		submit(t, c.Node("n1"), "x")
		victim := c.Follower().ID
		c.Stop(victim)
		c.Wipe(victim)
		time.Sleep(5 * time.Second)
		c.Start(victim, 3, "n1", "n2", "n3")
		c.WaitReady()
		for _, m := range c.WaitLeader().Status(t.Context()).Members {
			if m.NodeID == victim && m.Voter {
				t.Fatal("a wiped node votes before it has caught up for long enough")
			}
		}
		fence(t, c.Node(victim))
		if got := logOf(c.Node(victim)); len(got) != 1 {
			t.Fatalf("it was refilled with %v", got)
		}
		time.Sleep(time.Minute)
		oneCluster(t, c, 3)
	})
}

func TestIDOfLivingMemberIsNotGivenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		members := func() (out []string) {
			for _, m := range c.WaitLeader().Status(t.Context()).Members {
				out = append(out, fmt.Sprint(m.NodeID, m.PeerAddr, m.Voter))
			}
			return out
		}
		before := members()
		// A second node with the id of a follower, at another address.
		victim := c.Follower()
		stores := clustertest.NewStores()
		n, err := cluster.Open(cluster.Config{NodeID: victim.ID, AdvertisePeer: clustertest.Addr("double"), Join: []string{"n1", "n2", "n3"}},
			clustertest.NewCounter(nil), stores, c.Net.Host("double"), c.Gossip.Node("double"))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		time.Sleep(30 * time.Second)
		if err := n.Ready(); err == nil {
			t.Fatal("the double was admitted")
		}
		if after := members(); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Fatalf("members were %v, are %v", before, after)
		}
		submit(t, victim, "still there")
	})
}

func TestMovedMemberIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moved := map[string]string{}
		o := options()
		o.Config = func(id string, cfg *cluster.Config) {
			if host := moved[id]; host != "" {
				cfg.AdvertisePeer = clustertest.Addr(host)
			}
		}
		c := clustertest.Of(t, 3, o)
		c.Rehost = func(id string) string {
			if host := moved[id]; host != "" {
				return host
			}
			return id
		}
		id := c.Follower().ID
		c.Stop(id)
		moved[id] = id + "-new"
		c.Start(id, 3, "n1", "n2", "n3")
		c.WaitReady()
		time.Sleep(10 * time.Second)
		for _, m := range c.WaitLeader().Status(t.Context()).Members {
			if m.NodeID == id && (m.PeerAddr != clustertest.Addr(id+"-new") || !m.Voter) {
				t.Fatalf("recorded as %+v", m)
			}
		}
		submit(t, c.Node(id), "x")
	})
}

func TestLostStableStoreIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		disk := clustertest.NewStores()
		o.Stores = func(string) cluster.Stores { return disk }
		c := clustertest.New(t, o)
		c.Start("n1", 1)
		c.WaitReady()
		c.Stop("n1")
		disk.Stable = clustertest.NewStores().Stable
		if _, err := c.TryStart("n1", 1); err == nil {
			t.Fatal("a node that forgot its votes was started")
		}
	})
}

func TestFoundingSurvivesFailedIdentitySave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		disk := clustertest.NewStores()
		broken := &brokenIdentity{IdentityStore: disk.Identity}
		disk.Identity = broken
		o.Stores = func(string) cluster.Stores { return disk }
		c := clustertest.New(t, o)
		c.Start("n1", 1)
		time.Sleep(time.Second)
		if c.Node("n1").Ready() == nil {
			t.Fatal("ready with an identity that is not durable")
		}
		c.Stop("n1")
		broken.mended = true
		c.Start("n1", 1) // the log had begun: its cluster is continued
		c.WaitReady()
		submit(t, c.Node("n1"), "x")
	})
}

// brokenIdentity cannot record a cluster id until it is mended.
type brokenIdentity struct {
	cluster.IdentityStore
	mended bool
}

func (b *brokenIdentity) Save(id cluster.Identity) error {
	if id.ClusterID != "" && !b.mended {
		return errors.New("input/output error")
	}
	return b.IdentityStore.Save(id)
}
