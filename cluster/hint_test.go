package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

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
				time.Sleep(time.Minute) // the configuration is applied everywhere
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

// A hint that waits while its node steps down must not go out later, neither
// with the term of its entry nor with that of the next leader.
func TestNoHintAfterSteppingDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, options())
		var hold atomic.Pointer[chan struct{}] // set: hints wait for it
		waiting := make(chan cluster.Hint, 10)
		var mu sync.Mutex // guards sent
		var sent []*raft.AppendEntriesRequest
		ids := []string{"n1", "n2", "n3"}
		for _, id := range ids {
			c.Start(id, 3, ids...).WatchHints(func(h cluster.Hint) {
				select {
				case waiting <- h:
				default:
				}
				if held := hold.Load(); held != nil {
					<-*held
				}
			}, func(q *raft.AppendEntriesRequest) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, q)
			})
		}
		c.WaitReady()
		old := c.WaitLeader()
		term := old.Term()
		submit(t, old, "seen")
		time.Sleep(time.Second)
		mu.Lock()
		if len(sent) == 0 {
			t.Fatal("no hint was sent at all: this test shows nothing")
		}
		mu.Unlock()
		for len(waiting) > 0 {
			<-waiting
		}

		release := make(chan struct{})
		hold.Store(&release)
		submit(t, old, "waits")
		held := <-waiting
		if held.Term != term {
			t.Fatalf("the hint is %+v, this node leads term %d", held, term)
		}
		if err := old.TransferLeadership(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.WaitLeader()
		fence(t, old)
		if old.Term() == term {
			t.Fatal("the term did not change")
		}
		mu.Lock()
		sent = nil
		mu.Unlock()
		close(release)
		time.Sleep(time.Second)
		mu.Lock()
		for _, q := range sent {
			if string(q.ID) == old.ID || q.Term != q.PrevLogTerm {
				t.Errorf("%s sent a hint for entry %d with term %d and entry term %d", q.ID, q.PrevLogEntry, q.Term, q.PrevLogTerm)
			}
		}
		mu.Unlock()

		before := old.NotedHint()
		for _, claimed := range []uint64{term, old.Term()} { // as a follower
			old.AppliedHook(before.Index+100, claimed)
		}
		if got := old.NotedHint(); got != before {
			t.Fatalf("a follower noted %+v", got)
		}
		leader := c.WaitLeader()
		leader.AppliedHook(before.Index+100, term) // an entry of an earlier term
		if got := leader.NotedHint(); got.Index == before.Index+100 {
			t.Fatalf("a leader of term %d noted %+v", leader.Term(), got)
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

// Hints go to the nodes that have live readers, and to one that fences a read: it
// answers as fast as the others.
func TestHintsGoToWhomTheyHelp(t *testing.T) {
	const commitTimeout = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		var watched sync.Map // by node
		o := options()
		o.Config = func(id string, cfg *cluster.Config) {
			cfg.CommitTimeout = commitTimeout
			cfg.Watched = func() bool { _, yes := watched.Load(id); return yes }
		}
		c := clustertest.Of(t, 3, o)
		leader := c.WaitLeader()
		follower := c.Follower()
		lag := func() time.Duration {
			submit(t, leader, "x")
			start, want := time.Now(), leader.Machine.Applied()
			if !c.Eventually(func() bool { return follower.Machine.Applied() >= want }) {
				t.Fatal("the follower never applied it")
			}
			return time.Since(start)
		}
		time.Sleep(time.Minute) // all have said that nobody reads
		longest := time.Duration(0)
		for range 10 { // an entry that the other has stored first comes with its commit
			longest = max(longest, lag())
		}
		if longest < commitTimeout/100 {
			t.Fatalf("a node without readers applied each time within %v: it got hints", longest)
		}
		submit(t, leader, "fenced")
		start := time.Now()
		fence(t, follower)
		if got := time.Since(start); got > commitTimeout/100 {
			t.Fatalf("a fence took %v", got)
		}
		if got := lag(); got > commitTimeout/100 {
			t.Fatalf("just after a fence it took %v", got)
		}
		watched.Store(follower.ID, true)
		time.Sleep(time.Minute)
		if got := lag(); got > commitTimeout/100 {
			t.Fatalf("with a live reader it took %v", got)
		}
	})
}
