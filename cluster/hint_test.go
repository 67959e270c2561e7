package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

func TestFollowersApplyBeforeCommitTimeout(t *testing.T) {
	const commitTimeout = 10 * time.Second
	for name, hooked := range map[string]bool{"with hints": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Config = func(_ string, cfg *cluster.Config) { cfg.CommitTimeout = commitTimeout }
				if !hooked {
					o.Machine = func(string, func(uint64, uint64)) cluster.Machine { return clustertest.NewCounter(nil) }
				}
				c := clustertest.Of(t, 3, o)
				fenceAll(t, c)
				for i := range 20 {
					submit(t, c.WaitLeader(), fmt.Sprint(i))
					start := time.Now()
					for _, id := range c.IDs() {
						if !c.Eventually(func() bool { return len(logOf(c.Node(id))) == i+1 }) {
							t.Fatalf("%s never applied %d", id, i)
						}
					}
					took := time.Since(start)
					if hooked && took > commitTimeout/100 {
						t.Fatalf("followers applied %v after the acknowledgement", took)
					}
					if !hooked && took < commitTimeout/100 {
						t.Fatalf("without hints followers applied after %v: this test shows nothing", took)
					}
				}
			})
		})
	}
}

func TestNoHintAfterSteppingDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		old := c.WaitLeader()
		term := old.Term()
		r := submit(t, old, "x")
		var mu sync.Mutex
		var sent []cluster.Hint
		old.WatchHints(func(_ string, h cluster.Hint) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, h)
		})
		if err := old.TransferLeadership(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.WaitLeader()
		fence(t, old)
		if old.Term() == term {
			t.Fatal("the term did not change")
		}
		before := old.NotedHint()
		if before.Term != term {
			t.Fatalf("noted %+v while leading term %d", before, term)
		}
		index := old.Machine.Applied()
		for _, claimed := range []uint64{term, old.Term()} { // as a follower, and with another's term
			old.AppliedHook(index+1, claimed)
		}
		if got := old.NotedHint(); got != before {
			t.Fatalf("a follower noted %+v (%+v)", got, r)
		}
		if err := c.WaitLeader().TransferLeadership(t.Context()); err != nil {
			t.Fatal(err)
		}
		submit(t, c.WaitLeader(), "y")
		old.AppliedHook(index+100, term) // an entry of an earlier term, whoever leads now
		if got := old.NotedHint(); got.Index == index+100 {
			t.Fatalf("an entry of an earlier term was noted: %+v", got)
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		for _, h := range sent {
			if h.Term != old.Term() {
				t.Fatalf("sent %+v in term %d", h, old.Term())
			}
		}
	})
}

func TestLeadRunsOnlyOnTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running := map[string]int{}
		most := 0
		o := options()
		o.Config = func(id string, cfg *cluster.Config) {
			cfg.Lead = func(ctx context.Context) {
				mu.Lock()
				running[id]++
				most = max(most, running[id])
				mu.Unlock()
				<-ctx.Done()
				mu.Lock()
				running[id]--
				mu.Unlock()
			}
		}
		c := clustertest.Of(t, 3, o)
		for range 5 {
			time.Sleep(time.Second)
			leader := c.WaitLeader()
			mu.Lock()
			for _, id := range c.IDs() {
				want := 0
				if id == leader.ID {
					want = 1
				}
				if running[id] != want {
					t.Fatalf("%s runs %d, leader is %s", id, running[id], leader.ID)
				}
			}
			mu.Unlock()
			if err := leader.TransferLeadership(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		for id, n := range running {
			if n != 0 {
				t.Fatalf("%s still runs after Close", id)
			}
		}
		if most > 1 {
			t.Fatalf("%d ran at once on one node", most)
		}
	})
}
