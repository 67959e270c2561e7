package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
	"mainstem/stream"
)

// options are what most tests start from. MAINSTEM_TEST_LOG=1 shows the log.
func options() clustertest.Options {
	o := clustertest.Options{}
	if os.Getenv("MAINSTEM_TEST_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return o
}

func command(data string) stream.Command {
	return stream.Append{Name: "s", ContentType: "text/plain", Body: stream.Payload{Data: []byte(data)}}
}

func submit(t *testing.T, m *clustertest.Member, data string) stream.Result {
	t.Helper()
	r, err := m.Submit(t.Context(), command(data))
	if err != nil {
		t.Fatalf("submit %q through %s: %v", data, m.ID, err)
	}
	return r
}

func fence(t *testing.T, m *clustertest.Member) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := m.Fence(ctx); err != nil {
		t.Fatalf("fence on %s: %v", m.ID, err)
	}
}

func logOf(m *clustertest.Member) []string {
	var out []string
	for _, a := range m.Machine.(*clustertest.Counter).Log() {
		out = append(out, a.Data)
	}
	return out
}

// wantOnce wants a command to have been carried out once.
func wantOnce(t *testing.T, m *clustertest.Member, data string) {
	t.Helper()
	n := 0
	for _, d := range logOf(m) {
		if d == data {
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%q was carried out %d times, want once", data, n)
	}
}

func TestThreeNodesSurviveLeaderCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		for i := range 10 {
			for _, id := range c.IDs() {
				submit(t, c.Node(id), fmt.Sprintf("%s-%d", id, i))
			}
		}
		old := c.WaitLeader()
		c.Net.Isolate(old.ID, c.IDs()...)
		var rest []string
		for _, id := range c.IDs() {
			if id != old.ID {
				rest = append(rest, id)
			}
		}
		leader := c.WaitLeader(rest...)
		if leader.ID == old.ID {
			t.Fatalf("%s still leads", old.ID)
		}
		for _, id := range rest {
			submit(t, c.Node(id), "without "+old.ID)
			fence(t, c.Node(id))
		}
		c.Net.Heal()
		c.WaitLeader()
		fence(t, old)
		if got, want := logOf(old), logOf(leader); fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 32 {
			t.Fatalf("%s applied %v, %s applied %v", old.ID, got, leader.ID, want)
		}
	})
}

func TestSingleNodeIsReadyAtOnce(t *testing.T) {
	for name, join := range map[string][]string{"no list": nil, "only itself": {"n1"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.New(t, options())
				start := time.Now()
				c.Start("n1", 1, join...)
				c.WaitReady()
				if took := time.Since(start); took > 100*time.Millisecond {
					t.Fatalf("ready after %v", took)
				}
				submit(t, c.Node("n1"), "x")
				fence(t, c.Node("n1"))
			})
		})
	}
}

func TestRestartedNodeContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		submit(t, c.Node("n1"), "before")
		cluster := c.Node("n1").Status(t.Context()).ClusterID
		for _, id := range c.IDs() {
			c.Stop(id)
		}
		for _, id := range []string{"n1", "n2", "n3"} {
			c.Start(id, 1, "elsewhere") // ignored: it has state
		}
		c.WaitReady()
		fence(t, c.Node("n2"))
		if got := logOf(c.Node("n2")); len(got) != 1 || got[0] != "before" {
			t.Fatalf("n2 holds %v", got)
		}
		if got := c.Node("n3").Status(t.Context()).ClusterID; got != cluster {
			t.Fatalf("cluster id %s, was %s", got, cluster)
		}
	})
}

func TestOutcomeUnknownWhenLeaderIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		old := c.WaitLeader()
		submit(t, old, "first")
		c.Net.Isolate(old.ID, c.IDs()...)
		_, err := old.Submit(t.Context(), command("lost")) // proposed, never committed
		if !errors.Is(err, cluster.ErrOutcomeUnknown) {
			t.Fatalf("the cut leader answered %v", err)
		}
		var known interface{ OutcomeUnknown() bool }
		if !errors.As(err, &known) || !known.OutcomeUnknown() {
			t.Fatalf("%v does not say that its outcome is unknown", err)
		}
		start := time.Now()
		_, err = old.Submit(t.Context(), command("never proposed"))
		if !errors.Is(err, cluster.ErrNoLeader) || errors.Is(err, cluster.ErrOutcomeUnknown) {
			t.Fatalf("a node without leader answered %v", err)
		}
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Fatalf("it took %v, not SubmitTimeout", took)
		}
	})
}

// The leader takes the batch and reaches nobody, so that it cannot commit it. The batch
// is proposed again to its successor, and is carried out once.
func TestForwardedBatchRidesOverALeaderThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader, follower := c.WaitLeader(), c.Follower()
		submit(t, follower, "first")
		for _, id := range c.IDs() { // requests arrive, nothing comes back
			if id != leader.ID {
				c.Net.CutOneWay(leader.ID, id)
			}
		}
		start := time.Now()
		submit(t, follower, "once")
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("took %v although another leader was elected", took)
		}
		c.Net.Heal()
		c.WaitLeader()
		fence(t, follower)
		wantOnce(t, follower, "once")
	})
}

// The leader commits the batch with another node, and dies before its answer arrives.
// The batch is proposed again to its successor, in the same place of the session, and
// is carried out once.
func TestABatchWhoseAnswerWasLostIsCarriedOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader, follower := c.WaitLeader(), c.Follower()
		submit(t, follower, "first")
		c.Net.CutOneWay(leader.ID, follower.ID)
		go func() {
			time.Sleep(200 * time.Millisecond) // in which it is committed
			c.Net.Kill(leader.ID)              // with its connections, for good
		}()
		submit(t, follower, "once")
		fence(t, follower)
		wantOnce(t, follower, "once")
	})
}

func TestSubmitsShareEntriesAndKeepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		m := c.Follower()
		const writers, each = 50, 20
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if _, err := m.Submit(t.Context(), command(fmt.Sprintf("%d %d", w, i))); err != nil {
						t.Errorf("submit: %v", err)
					}
				}
			})
		}
		wg.Wait()
		fence(t, m)
		next := map[int]int{}
		for _, d := range logOf(m) {
			var w, i int
			fmt.Sscanf(d, "%d %d", &w, &i)
			if next[w] != i {
				t.Fatalf("writer %d: %d where %d was due", w, i, next[w])
			}
			next[w]++
		}
		total := 0
		for _, n := range next {
			total += n
		}
		if total != writers*each {
			t.Fatalf("%d commands applied, %d submitted", total, writers*each)
		}
		if got := m.Machine.(*clustertest.Counter).Entries(); got > total/5 {
			t.Fatalf("%d commands took %d entries", total, got)
		}
	})
}
