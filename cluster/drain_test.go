package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster/clustertest"
)

// drain asks nodes to be let go at the same moment, and returns what each was
// told and how long it took.
func drain(c *clustertest.Cluster, within time.Duration, ids ...string) (others map[string]bool, took map[string]time.Duration) {
	var mu sync.Mutex
	var all sync.WaitGroup
	others, took = map[string]bool{}, map[string]time.Duration{}
	for _, id := range ids {
		m := c.Node(id)
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			start := time.Now()
			yes := m.Drain(ctx)
			mu.Lock()
			defer mu.Unlock()
			others[id], took[id] = yes, time.Since(start)
		})
	}
	all.Wait()
	return others, took
}

func TestDrainHandsLeadershipOverAtOnceWhenAllAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader := c.WaitLeader().ID
		others, took := drain(c, time.Minute, leader)
		if !others[leader] || took[leader] > time.Second {
			t.Fatalf("others %v after %v", others, took)
		}
		if next := c.WaitLeader(); next.ID == leader {
			t.Fatalf("%s leads still", leader)
		}
		submit(t, c.Node(leader), "it serves until it is closed")
	})
}

func TestDrainWaitsForAnAbsentVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		away := c.Follower().ID
		c.Stop(away)
		var stays string
		for _, id := range c.IDs() {
			stays = id
		}
		done := make(chan time.Duration, 1)
		go func() {
			_, took := drain(c, time.Minute, stays)
			done <- took[stays]
		}()
		time.Sleep(20 * time.Second)
		select {
		case took := <-done:
			t.Fatalf("%s was let go after %v, without a quorum of others", stays, took)
		default:
		}
		submit(t, c.Node(stays), "still served")
		c.Start(away, 3, "n1", "n2", "n3")
		if took := <-done; took > 25*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}

func TestDrainEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		c.Stop(c.Follower().ID)
		id := c.IDs()[0]
		if _, took := drain(c, 5*time.Second, id); took[id] < 5*time.Second || took[id] > 8*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}

func TestNodesThatDrainTogetherDoNotWait(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.Of(t, n, options())
				_, took := drain(c, time.Minute, c.IDs()...)
				for id, d := range took {
					if d > 2*time.Second {
						t.Errorf("%s took %v", id, d)
					}
				}
			})
		})
	}
}

// Two of three that want to leave at the same moment may not both go: the one
// with the lower id goes first.
func TestOfTwoThatDrainOneStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		others, took := drain(c, 10*time.Second, "n1", "n2")
		if !others["n1"] || took["n1"] > 2*time.Second {
			t.Errorf("n1 was let go after %v, others %v", took["n1"], others["n1"])
		}
		if took["n2"] < 10*time.Second {
			t.Errorf("n2 was let go after %v, with n1 on its way out", took["n2"])
		}
	})
}

func TestADeadLeadersPlaceIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader := c.WaitLeader().ID
		for range 3 {
			c.Net.Kill(leader)
			start := time.Now()
			var rest []string
			for _, id := range c.IDs() {
				if id != leader {
					rest = append(rest, id)
				}
			}
			next := c.WaitLeader(rest...).ID
			if took := time.Since(start); took > 2*time.Second/5 {
				t.Fatalf("it took %v", took)
			}
			submit(t, c.Node(next), "x")
			c.Net.Revive(leader)
			c.WaitLeader()
			leader = next
		}
	})
}
