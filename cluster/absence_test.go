package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster/clustertest"
)

// raft waits longer after each failure, up to ten seconds; a member that was away
// for long must not wait with it.
func TestMemberThatWasAwayIsServedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		away := c.Follower().ID
		c.Stop(away)
		const entries = 3000
		for i := range entries {
			submit(t, c.Node(c.IDs()[0]), fmt.Sprint(i))
			time.Sleep(40 * time.Millisecond)
		}
		start := time.Now()
		c.Start(away, 3, "n1", "n2", "n3")
		fence(t, c.Node(away))
		c.WaitReady(away)
		if took := time.Since(start); took > time.Second {
			t.Fatalf("it took %v", took)
		}
		if got := len(logOf(c.Node(away))); got != entries {
			t.Fatalf("it holds %d of %d", got, entries)
		}
	})
}

func TestLeadershipGoesToAMemberThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 5, options())
		for range 2 {
			c.Crash(c.Follower().ID)
			leader := c.WaitLeader()
			start := time.Now()
			if err := leader.TransferLeadership(t.Context()); err != nil {
				t.Fatal(err)
			}
			if next := c.WaitLeader(); next.ID == leader.ID {
				t.Fatalf("%s leads again", next.ID)
			}
			if took := time.Since(start); took > 1500*time.Millisecond {
				t.Fatalf("the transfer took %v", took)
			}
			submit(t, c.Follower(), "x")
		}
	})
}

func TestLeadershipStaysWhenNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, options())
		c.Start("n1", 1)
		c.WaitReady()
		if err := c.Node("n1").TransferLeadership(t.Context()); err == nil {
			t.Fatal("a single node handed leadership over")
		}
		submit(t, c.Node("n1"), "x")
	})
}

func TestStatusShowsMembersAndTolerance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 5, options())
		submit(t, c.Node("n1"), "x")
		time.Sleep(3 * time.Second)
		for _, id := range c.IDs() {
			st := c.Node(id).Status(t.Context())
			if st.FailureTolerance != 2 || len(st.Members) != 5 || st.Leader != c.WaitLeader().ID || st.Term == 0 {
				t.Fatalf("%s: %+v", id, st)
			}
			for _, m := range st.Members {
				if !m.Voter || !m.Reachable || m.Lag != 0 || m.HTTPAddr != m.NodeID+":4437" || m.Version != "test" {
					t.Fatalf("%s: %+v", id, m)
				}
			}
		}
		c.Stop(c.Follower().ID)
		time.Sleep(10 * time.Second)
		st := c.WaitLeader().Status(t.Context())
		if st.FailureTolerance != 1 {
			t.Fatalf("with one away: %+v", st)
		}
	})
}
