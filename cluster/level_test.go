package cluster_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
	"mainstem/stream"
)

// ofLevels gives each node the level of its name in the map, or this version's.
func ofLevels(levels map[string]byte) clustertest.Options {
	o := options()
	o.Config = func(id string, cfg *cluster.Config) { cfg.Level = levels[id] }
	return o
}

func wantTooNew(t *testing.T, m *clustertest.Member, behind ...string) {
	t.Helper()
	_, err := m.Submit(t.Context(), command("x"))
	var no *cluster.LevelError
	if !errors.As(err, &no) || !slices.Equal(no.Behind, behind) || no.Needs != stream.LevelOldest {
		t.Fatalf("an append through %s: got %v, want it refused for %v", m.ID, err, behind)
	}
	var unknown interface{ OutcomeUnknown() bool }
	if errors.As(err, &unknown) {
		t.Fatalf("an append through %s: got %v, which says that it may have been written", m.ID, err)
	}
}

// A member understands less than a command needs: no node proposes it, from the
// start and after a change of leaders, until that member has been upgraded.
func TestNothingAboveTheLowestLevelIsProposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		levels := map[string]byte{"n3": stream.LevelOldest - 1}
		c := clustertest.Of(t, 3, ofLevels(levels))
		time.Sleep(3 * time.Second) // all have exchanged reports
		for _, id := range c.IDs() {
			wantTooNew(t, c.Node(id), "n3")
		}
		old := c.WaitLeader()
		next := c.Follower()
		if err := old.Transfer(t.Context(), next.ID); err != nil {
			t.Fatal(err)
		}
		c.WaitLeader()
		for _, id := range c.IDs() {
			wantTooNew(t, c.Node(id), "n3")
		}
		c.Stop("n3")
		for _, id := range c.IDs() {
			wantTooNew(t, c.Node(id), "n3") // it may come back as it was
		}
		delete(levels, "n3")
		c.Start("n3", 3, "n1", "n2", "n3")
		c.WaitReady("n3")
		time.Sleep(3 * time.Second) // all have exchanged reports
		for i, id := range c.IDs() {
			submit(t, c.Node(id), string(rune('a'+i)))
		}
	})
}

// Entries tell those who decide them what all members understand, through whichever
// node they came.
func TestEntriesSayWhatAllMembersUnderstand(t *testing.T) {
	const above = stream.Level + 5
	for name, tt := range map[string]struct{ others, third, want byte }{
		"one is older":                 {stream.Level, stream.LevelOldest, stream.LevelOldest},
		"all are of this version":      {stream.Level, stream.Level, stream.Level},
		"all know more than this tree": {above, above, stream.Level},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.Of(t, 3, ofLevels(map[string]byte{"n1": tt.others, "n2": tt.others, "n3": tt.third}))
				time.Sleep(3 * time.Second) // all have exchanged reports
				for _, id := range c.IDs() {
					submit(t, c.Node(id), "x")
				}
				for _, a := range c.WaitLeader().Machine.(*clustertest.Counter).Log() {
					if a.Level != tt.want {
						t.Fatalf("an entry has level %d, want %d", a.Level, tt.want)
					}
				}
			})
		})
	}
}

// What all had agreed on is known to a node that has just started, though a member
// is away of which it has heard nothing itself.
func TestAMemberThatIsAwayCountsWithWhatAllAgreedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		above := byte(stream.Level + 5)
		o.Config = func(_ string, cfg *cluster.Config) { cfg.Level = above }
		c := clustertest.Of(t, 3, o)
		time.Sleep(3 * time.Second)
		c.Stop("n3")
		c.Stop("n2")
		c.Start("n2", 3, "n1", "n2", "n3")
		c.WaitReady("n1", "n2")
		for _, id := range []string{"n1", "n2"} {
			if err := c.Node(id).RefuseLevel(above); err != nil {
				t.Errorf("%s: %v; want that n3 counts with what it had", id, err)
			}
			var no *cluster.LevelError
			if err := c.Node(id).RefuseLevel(above + 1); !errors.As(err, &no) {
				t.Errorf("%s: got %v for a level that nobody has, want a refusal", id, err)
			}
		}
	})
}

// Where nothing is known of a member it counts with the lowest level there is.
func TestAMemberNeverHeardOfHasTheLowestLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		above := byte(stream.Level + 5)
		o.Config = func(_ string, cfg *cluster.Config) { cfg.Level = above }
		c := clustertest.Of(t, 3, o)
		for _, id := range []string{"n1", "n2", "n3"} {
			c.Stop(id)
		}
		c.Start("n1", 3, "n1", "n2", "n3")
		c.Start("n2", 3, "n1", "n2", "n3")
		c.WaitReady("n1", "n2")
		err := c.WaitLeader("n1", "n2").RefuseLevel(above)
		var no *cluster.LevelError
		if !errors.As(err, &no) || !slices.Equal(no.Behind, []string{"n3"}) || no.Has != stream.LevelOldest {
			t.Fatalf("got %v, want a refusal for n3 at level %d", err, stream.LevelOldest)
		}
		for _, part := range []string{"nothing was written", "upgrade or remove n3", "start it"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("got %q, want %q in it", err, part)
			}
		}
		submit(t, c.Node("n1"), "what all versions know")
	})
}

// The log may have what an older node does not understand: it is not admitted.
func TestANodeOfAnOlderVersionIsNotAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		levels := map[string]byte{"n4": stream.LevelOldest - 1}
		c := clustertest.Of(t, 3, ofLevels(levels))
		time.Sleep(3 * time.Second)
		submit(t, c.WaitLeader(), "a")
		c.Start("n4", 1, "n1", "n4")
		time.Sleep(10 * time.Second)
		if got := len(c.WaitLeader("n1", "n2", "n3").Status(t.Context()).Members); got != 3 {
			t.Fatalf("the cluster has %d members, want 3", got)
		}
		submit(t, c.Node("n1"), "b")
		c.Stop("n4")
		delete(levels, "n4")
		c.Start("n4", 1, "n1", "n4")
		c.WaitReady("n4")
		for _, m := range c.Node("n4").Status(t.Context()).Members {
			if m.NodeID == "n4" && m.Level != stream.Level {
				t.Errorf("n4 shows level %d, want %d", m.Level, stream.Level)
			}
		}
	})
}

// A version from before levels were told says none.
func TestAMemberThatTellsNoLevelHasTheLowest(t *testing.T) {
	for told, want := range map[byte]byte{0: stream.LevelOldest, 1: 1, stream.LevelOldest + 3: stream.LevelOldest + 3} {
		if got := cluster.Told(told); got != want {
			t.Errorf("a member that tells %d counts with %d, want %d", told, got, want)
		}
	}
}

// A node that does not know yet that another is older is told no by the leader. As
// soon as it hears of that, its callers get the same answer, which is certain.
func TestANodeLearnsOfAnOlderMemberWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, ofLevels(map[string]byte{"n3": stream.LevelOldest - 1}))
		time.Sleep(3 * time.Second)
		m := c.Node("n1")
		if m.ID == c.WaitLeader().ID {
			m = c.Node("n2")
		}
		m.ForgetLevel()
		began := time.Now()
		wantTooNew(t, m, "n3")
		if took := time.Since(began); took > 3*time.Second {
			t.Fatalf("it was refused after %v, want after the next report", took)
		}
		if entries := logOf(m); len(entries) != 0 {
			t.Fatalf("%v is in the log", entries)
		}
	})
}
