package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

func fenceAll(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	for _, id := range c.IDs() {
		fence(t, c.Node(id))
	}
}

func TestFenceReturnsOnIdleCluster(t *testing.T) {
	for name, happen := range map[string]func(t *testing.T, c *clustertest.Cluster){
		"after founding": func(*testing.T, *clustertest.Cluster) {},
		"after an election and its barrier": func(t *testing.T, c *clustertest.Cluster) {
			submit(t, c.Follower(), "x")
			c.Crash(c.WaitLeader().ID)
			c.WaitLeader()
		},
		"after a transfer": func(t *testing.T, c *clustertest.Cluster) {
			if err := c.WaitLeader().TransferLeadership(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.WaitLeader()
		},
		"after a membership change": func(t *testing.T, c *clustertest.Cluster) {
			c.Start("n4", 1, "n1")
			c.WaitReady()
		},
		"after a restart of all": func(t *testing.T, c *clustertest.Cluster) {
			submit(t, c.Follower(), "x")
			ids := c.IDs()
			for _, id := range ids {
				c.Stop(id)
			}
			for _, id := range ids {
				c.Start(id, 3, ids...)
			}
			c.WaitReady()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.Of(t, 3, options())
				happen(t, c)
				fenceAll(t, c)
				time.Sleep(time.Minute)
				start := time.Now()
				fenceAll(t, c)
				if took := time.Since(start); took > time.Second {
					t.Fatalf("fences took %v", took)
				}
			})
		})
	}
}

// A leader whose log holds nothing but its own entries, since a snapshot took
// the rest, has no index that all machines count: it must make one.
func TestFenceReturnsWhenLogIsCompacted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Config = func(_ string, cfg *cluster.Config) {
			cfg.SnapshotThreshold, cfg.SnapshotInterval, cfg.TrailingLogs = 5, time.Second, 1
			cfg.RestoreOnStart = true
		}
		c := clustertest.Of(t, 3, o)
		for i := range 20 {
			submit(t, c.Node("n1"), fmt.Sprint(i))
		}
		time.Sleep(10 * time.Second) // snapshots, and a log of one entry
		for range 4 {                // then entries of raft's own
			if err := c.WaitLeader().TransferLeadership(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.WaitLeader()
			time.Sleep(5 * time.Second)
		}
		ids := c.IDs()
		for _, id := range ids {
			c.Stop(id)
		}
		for _, id := range ids {
			c.Start(id, 3, ids...)
		}
		c.WaitReady()
		fenceAll(t, c)
		for _, id := range ids {
			if got := len(logOf(c.Node(id))); got != 20 {
				t.Fatalf("%s holds %d commands of 20", id, got)
			}
		}
	})
}

func TestFenceSeesWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Config = func(_ string, cfg *cluster.Config) { cfg.CommitTimeout = 500 * time.Millisecond }
		c := clustertest.Of(t, 3, o)
		for i := range 50 {
			w, r := c.IDs()[i%3], c.IDs()[(i+1)%3]
			submit(t, c.Node(w), fmt.Sprint(i))
			fence(t, c.Node(r))
			if got := len(logOf(c.Node(r))); got != i+1 {
				t.Fatalf("%s has %d commands after its fence, %d were acknowledged", r, got, i+1)
			}
		}
	})
}

func TestFenceFailsOnCutLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader := c.WaitLeader()
		c.Net.Isolate(leader.ID, c.IDs()...)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := leader.Fence(ctx); err == nil {
			t.Fatal("a leader without a quorum gave a fence")
		}
		if _, known := leader.LeaderContact(); known {
			t.Fatal("it still knows a leader")
		}
		if err := leader.Ready(); err == nil {
			t.Fatal("it is still ready")
		}
	})
}

func TestFencesShareRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		m := c.Follower()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { fence(t, m) })
		}
		wg.Wait()
	})
}

func TestFenceAfterCloseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		m := c.Follower()
		c.Stop(m.ID)
		if err := m.Fence(t.Context()); !errors.Is(err, cluster.ErrClosing) {
			t.Fatalf("answered %v", err)
		}
		if _, err := m.Submit(t.Context(), command("x")); !errors.Is(err, cluster.ErrClosing) {
			t.Fatalf("answered %v", err)
		}
	})
}
