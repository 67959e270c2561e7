package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"mainstem/recovery"
	"mainstem/storage"
	"mainstem/test/sim"
)

const quarantine = "quarantine-test"

var text = sim.Headers{"Content-Type": "text/plain"}

// inBubble runs a cluster of n nodes on real directories, in virtual time.
func inBubble(t *testing.T, n int, f func(t *testing.T, c *sim.Cluster)) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mainstem-recovery-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	synctest.Test(t, func(t *testing.T) { f(t, sim.New(t, sim.Options{Dir: dir, OnDisk: true, Nodes: n})) })
}

// write makes a stream and appends to it through each running node; it returns
// what a reader must find.
func write(t *testing.T, c *sim.Cluster, name string, rounds int) (want string) {
	t.Helper()
	ask(t, c.Running()[0], "PUT", name, "", 201)
	for i := range rounds {
		for _, n := range c.Running() {
			part := fmt.Sprintf("%s %d;", n.ID, i)
			ask(t, n, "POST", name, part, 204)
			want += part
		}
	}
	return want
}

func ask(t *testing.T, n *sim.Node, method, name, body string, want int) sim.Reply {
	t.Helper()
	r, err := n.Ask(method, name, text, body)
	if err != nil || r.Status != want {
		t.Fatalf("%s %s at %s: got %v, %v, want status %d", method, name, n.ID, r, err, want)
	}
	return r
}

func holds(t *testing.T, n *sim.Node, name, want string) {
	t.Helper()
	if got := ask(t, n, "GET", name+"?offset=-1", "", 200); got.Body != want || !got.UpToDate() {
		t.Fatalf("%s at %s: got %q, want %q", name, n.ID, got.Body, want)
	}
}

func plan(t *testing.T, letters string, dirs ...storage.Dir) recovery.Plan {
	t.Helper()
	var nodes []recovery.Facts
	for _, dir := range dirs {
		f, err := recovery.Look(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, f)
	}
	p := recovery.MakePlan(nodes, letters)
	if p.Problem != "" {
		t.Fatalf("no plan: %s; %q", p.Problem, p.Findings)
	}
	return p
}

func apply(t *testing.T, p recovery.Plan, dir storage.Dir) recovery.Done {
	t.Helper()
	done, err := p.Apply(t.Context(), dir, recovery.Options{Quarantine: quarantine})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func refill(dir storage.Dir, lost recovery.Named, o recovery.Options) (recovery.Done, error) {
	lock, err := storage.LockDir(dir)
	if err != nil {
		return recovery.Done{}, err
	}
	defer lock.Close()
	if o.Quarantine == "" {
		o.Quarantine = quarantine
	}
	r, err := recovery.PlanRefill(dir, lost, o)
	if err != nil {
		return recovery.Done{}, err
	}
	return r.Refill(dir, o)
}

// voters waits until n nodes vote and returns their ids.
func voters(t *testing.T, c *sim.Cluster, at *sim.Node, n int) (ids []string) {
	t.Helper()
	enough := c.Eventually(func() bool {
		ids = nil
		for _, m := range at.Cluster.Status(t.Context()).Members {
			if m.Voter {
				ids = append(ids, m.NodeID)
			}
		}
		return len(ids) == n
	})
	if !enough {
		t.Fatalf("voters as %s sees them: got %v, want %d", at.ID, ids, n)
	}
	return ids
}

func TestTheSurvivorOfThreeGoesOnAndAnOldNodeCannotForkIt(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *sim.Cluster) {
		want := write(t, c, "kept", 5)
		level(t, c)
		old := c.Node("n3").Cluster.Status(t.Context()).ClusterID
		c.Crash("n1", "n2")
		c.Crash("n3")
		p := plan(t, "aaaa", c.DataDir("n3"))
		if p.Base != "n3" || p.Certain || p.NoNeed != "" || strings.Join(p.Lost, " ") != "n1 n2" || p.NewCluster != old+".1-aaaa" {
			t.Fatalf("got plan %+v", p)
		}
		apply(t, p, c.DataDir("n3"))
		if again := apply(t, p, c.DataDir("n3")); !strings.Contains(again.What, "nothing was changed") {
			t.Fatalf("applied again: got %+v", again)
		}
		n3 := c.Start("n3")
		c.WaitReady()
		holds(t, n3, "kept", want)
		after := write(t, c, "after", 3)

		// Both lost nodes come back, with a quorum of the old cluster among them.
		for _, id := range []string{"n1", "n2"} {
			c.Start(id)
		}
		term := n3.Cluster.Status(t.Context()).Term
		for _, id := range []string{"n1", "n2"} {
			select {
			case <-c.Node(id).Cluster.Removed():
			case <-time.After(30 * time.Second):
				t.Fatalf("%s goes on with its old data", id)
			}
		}
		time.Sleep(time.Minute) // nobody ends their processes, and yet they may not vote
		for _, id := range []string{"n1", "n2"} {
			if st := c.Node(id).Cluster.Status(t.Context()); st.Leader != "" {
				t.Fatalf("%s follows a leader: %+v", id, st)
			}
			c.Stop(id)
			if _, err := c.TryStart(id); err == nil || !strings.Contains(err.Error(), "mainstem recover refill") || !strings.Contains(err.Error(), p.NewCluster) {
				t.Fatalf("%s started again: got %v", id, err)
			}
		}
		if st := n3.Cluster.Status(t.Context()); st.Term != term || st.Leader != "n3" {
			t.Fatalf("the old nodes moved the new cluster: term was %d, got %+v", term, st)
		}
		for _, id := range []string{"n1", "n2"} {
			if done, err := refill(c.DataDir(id), recovery.Named{}, recovery.Options{}); err != nil || done.ClusterID != p.NewCluster {
				t.Fatalf("refill %s: got %+v, %v", id, done, err)
			}
			c.Start(id)
		}
		voters(t, c, n3, 3)
		c.WaitReady()
		level(t, c)
		for _, n := range c.Running() {
			holds(t, n, "kept", want)
			holds(t, n, "after", after)
		}
	})
}

// TestAClusterWithALeaderDoesNotYieldToARecovery: who recovers one node of a
// cluster that is alive has made a mistake, which must not take the cluster away.
func TestAClusterWithALeaderDoesNotYieldToARecovery(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *sim.Cluster) {
		want := write(t, c, "kept", 3)
		level(t, c)
		c.Crash("n3")
		c.WaitLeader("n1", "n2")
		apply(t, plan(t, "hhhh", c.DataDir("n3")), c.DataDir("n3"))
		n3 := c.Start("n3")
		c.WaitReady()
		time.Sleep(time.Minute)
		for _, id := range []string{"n1", "n2"} {
			ask(t, c.Node(id), "POST", "kept", id, 204)
			want += id
		}
		holds(t, c.Node("n2"), "kept", want)
		if st := n3.Cluster.Status(t.Context()); st.Leader != "n3" || len(st.Members) != 1 {
			t.Fatalf("got %+v", st)
		}
	})
}

// TestTheLongestOfTwoSurvivorsOfFiveIsKept cuts one survivor off before the end,
// so that the logs differ.
func TestTheLongestOfTwoSurvivorsOfFiveIsKept(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, c *sim.Cluster) {
		write(t, c, "kept", 3)
		level(t, c)
		c.Crash("n4")
		ask(t, c.Running()[0], "POST", "kept", "last", 204)
		want := ask(t, c.Running()[0], "GET", "kept?offset=-1", "", 200).Body
		level(t, c)
		c.Crash("n1", "n2", "n3", "n5")
		p := plan(t, "bbbb", c.DataDir("n4"), c.DataDir("n5"))
		if p.Base != "n5" || p.Certain {
			t.Fatalf("got plan %+v", p)
		}
		// The same plan on each directory, as on two machines; the other first.
		apply(t, p, c.DataDir("n4"))
		apply(t, p, c.DataDir("n5"))
		if _, err := os.Stat(filepath.Join(string(c.DataDir("n4")), quarantine, "log")); err != nil {
			t.Fatalf("the old log of n4 was not kept: %v", err)
		}
		n5 := c.Start("n5")
		c.Start("n4")
		voters(t, c, n5, 2)
		c.WaitReady()
		for _, n := range c.Running() {
			holds(t, n, "kept", want)
		}
		if a, b := sum(t, c.Node("n4")), sum(t, n5); a != b {
			t.Fatalf("copies differ: %s and %s", a, b)
		}
	})
}

func sum(t *testing.T, n *sim.Node) string {
	t.Helper()
	s, err := n.Engine.Checksum(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Hash
}

// level waits until the running nodes hold the same.
func level(t *testing.T, c *sim.Cluster) {
	t.Helper()
	same := c.Eventually(func() bool {
		for _, n := range c.Running() {
			if n.Machine.Applied() != c.Running()[0].Machine.Applied() {
				return false
			}
		}
		return true
	})
	if !same {
		t.Fatal("the nodes never applied the same")
	}
	for _, n := range c.Running() {
		if a, b := sum(t, n), sum(t, c.Running()[0]); a != b {
			t.Fatalf("the copies of %s and %s differ", n.ID, c.Running()[0].ID)
		}
	}
}

func answering(o recovery.Options) recovery.Options {
	o.Alive = func(context.Context, string) string { return "the old one" }
	return o
}

var errCrash = errors.New("crashed")

// TestApplyIsCompletedAfterACrashAtEachStep ends the change after each of its
// steps, in each role.
func TestApplyIsCompletedAfterACrashAtEachStep(t *testing.T) {
	for id, steps := range map[string][]string{
		"n3": {"journal", "term", "entry"},
		"n2": {"journal", "quarantine"},
	} {
		for _, step := range steps {
			t.Run(id+" after "+step, func(t *testing.T) {
				inBubble(t, 3, func(t *testing.T, c *sim.Cluster) {
					want := write(t, c, "kept", 2)
					level(t, c)
					c.Crash("n2")
					ask(t, c.Node("n3"), "POST", "kept", "last", 204)
					want += "last"
					level(t, c)
					c.Crash("n1", "n3")
					p := plan(t, "cccc", c.DataDir("n2"), c.DataDir("n3"))
					if p.Base != "n3" || p.NoNeed == "" {
						t.Fatalf("got plan %+v", p)
					}
					met := ""
					o := recovery.Interrupted(recovery.Options{Quarantine: quarantine, Force: true}, func(name string) error {
						met += name + " "
						if name == step {
							return errCrash
						}
						return nil
					})
					if _, err := p.Apply(t.Context(), c.DataDir(id), o); !errors.Is(err, errCrash) {
						t.Fatalf("got %v after steps %s", err, met)
					}
					if _, err := c.TryStart(id); !errors.Is(err, storage.ErrUnfinished) {
						t.Fatalf("started in the midst of a change: %v", err)
					}
					for _, dir := range []string{"n3", "n2"} {
						if _, err := p.Apply(t.Context(), c.DataDir(dir), recovery.Options{Quarantine: "another", Force: true}); err != nil {
							t.Fatal(err)
						}
					}
					n3 := c.Start("n3")
					c.Start("n2")
					voters(t, c, n3, 2)
					c.WaitReady()
					holds(t, n3, "kept", want)
					holds(t, c.Node("n2"), "kept", want)
				})
			})
		}
	}
}

// TestACheckpointAheadOfItsLogIsKept: a node that crashed right after it was sent
// a snapshot has a copy that is ahead of its log, since a checkpoint may hold later
// entries than its index. What is written afterwards must not be taken for them.
func TestACheckpointAheadOfItsLogIsKept(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *sim.Cluster) {
		want := write(t, c, "kept", 5)
		level(t, c)
		if err := c.Node("n3").Engine.Flush(); err != nil {
			t.Fatal(err)
		}
		c.Crash("n1", "n2", "n3")
		dir := c.DataDir("n3")
		applied := fallBehind(t, dir)
		p := plan(t, "gggg", dir)
		if f := p.Nodes[0]; p.Base != "n3" || f.LastIndex != 0 || f.SnapshotIndex >= applied || f.Applied != applied {
			t.Fatalf("got plan %+v", p)
		}
		o := recovery.Interrupted(recovery.Options{Quarantine: quarantine}, func(name string) error {
			if name == "snapshot" {
				return errCrash
			}
			return nil
		})
		if _, err := p.Apply(t.Context(), dir, o); !errors.Is(err, errCrash) {
			t.Fatalf("got %v", err)
		}
		apply(t, p, dir)
		if f, err := recovery.Look(dir, nil); err != nil || f.SnapshotIndex != applied || f.FirstIndex != applied+1 || len(f.Damage) > 0 {
			t.Fatalf("the log was to begin behind entry %d: got %+v, %v", applied, f, err)
		}
		n3 := c.Start("n3")
		c.WaitReady()
		holds(t, n3, "kept", want)
		for i := range 5 {
			part := fmt.Sprintf("after %d;", i)
			ask(t, n3, "POST", "kept", part, 204)
			want += part
		}
		holds(t, n3, "kept", want)
	})
}

// fallBehind makes a directory one whose log ends, with its snapshot, before what
// its copy holds.
func fallBehind(t *testing.T, dir storage.Dir) (applied uint64) {
	t.Helper()
	engine, err := storage.Open(storage.Config{Dir: dir.Copy()})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	log, err := storage.OpenLog(storage.LogConfig{Dir: dir.Log()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	first, last := bounds(t, log)
	f, err := recovery.Look(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var members raft.Configuration
	for _, m := range f.Members {
		members.Servers = append(members.Servers, raft.Server{ID: raft.ServerID(m.NodeID), Address: raft.ServerAddress(m.PeerAddr)})
	}
	snapshots, err := storage.OpenSnapshots(storage.SnapshotsConfig{Dir: dir.Snapshots()})
	if err != nil {
		t.Fatal(err)
	}
	g := engine.Globals()
	sink, err := snapshots.Create(raft.SnapshotVersionMax, g.Applied-10, g.Term, members, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.(*storage.SnapshotSink).Adopt(engine.Checkpoint); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := log.DeleteRange(first, last); err != nil {
		t.Fatal(err)
	}
	return g.Applied
}

func bounds(t *testing.T, log *storage.Log) (first, last uint64) {
	t.Helper()
	first, err := log.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	if last, err = log.LastIndex(); err != nil {
		t.Fatal(err)
	}
	return first, last
}

func TestApplyRefusesWhatThePlanWasNotMadeOf(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *sim.Cluster) {
		write(t, c, "kept", 1)
		c.Crash("n1", "n2")
		c.Crash("n3")
		p := plan(t, "dddd", c.DataDir("n3"))
		o := recovery.Options{Quarantine: quarantine}
		refused := func(what, why string, p recovery.Plan, id string, o recovery.Options) {
			t.Helper()
			if _, err := p.Apply(t.Context(), c.DataDir(id), o); err == nil || !strings.Contains(err.Error(), why) {
				t.Fatalf("%s: got %v, want %q", what, err, why)
			}
		}
		refused("a node that is not in the plan", "is not in the plan", p, "n1", o)
		refused("a format of another version", "format 9", with(p, func(p *recovery.Plan) { p.Format = 9 }), "n3", o)
		refused("a member that answers", "still answers", p, "n3", answering(o))
		refused("a quorum that is here", "which is a quorum", plan(t, "eeee", c.DataDir("n3"), c.DataDir("n2")), "n3", o)
		c.Start("n3") // alone: it stands for election, and its term grows
		time.Sleep(time.Minute)
		c.Crash("n3")
		again := plan(t, "dddd", c.DataDir("n3"))
		if again.Nodes[0].Term > p.Nodes[0].Term {
			refused("a node that ran since", "has changed since the plan was made", p, "n3", o)
		}
		apply(t, again, c.DataDir("n3"))
		refused("another plan after it", "it is of cluster", plan2(p, "ffff"), "n3", o)
	})
}

func with(p recovery.Plan, change func(*recovery.Plan)) recovery.Plan {
	p.Nodes = slices.Clone(p.Nodes)
	change(&p)
	return p
}

func plan2(p recovery.Plan, letters string) recovery.Plan { return recovery.MakePlan(p.Nodes, letters) }
