package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/scrub"
	"mainstem/storage"
	"mainstem/stream"
)

// A scrub that is over soon: a pass of a small copy begins every pass.
const (
	pass      = 20 * time.Second
	foundSoon = 2 * pass
)

func often(cfg *scrub.Config) { cfg.Interval, cfg.Poll = pass, 500*time.Millisecond }

// scrubbed is a cluster with some streams in it, one of its nodes to be damaged.
func scrubbed(t *testing.T, dir string, leads bool, how func(*scrub.Config)) (c *Cluster, victim *Node) {
	t.Helper()
	c = New(t, Options{Dir: dir, Scrub: how})
	for i := range 20 {
		name := fmt.Sprintf("s-%02d", i)
		ask(t, c.Running()[i%3], "PUT", name, text, "", 201)
		ask(t, c.Running()[i%3], "POST", name, text, strings.Repeat("x", 2000), 204)
	}
	c.WaitEqual() // all has come to the victim too
	victim = c.WaitLeader()
	if !leads {
		victim = c.Node(c.Others(victim.ID)[0])
	}
	return c, victim
}

// expectOut wants a node to be out of reads, named, and without harm to others.
func expectOut(t *testing.T, c *Cluster, victim *Node) {
	t.Helper()
	for _, method := range []string{"GET", "HEAD"} {
		r := ask(t, victim, method, "s-00", nil, "", 503)
		if method == "GET" && r.Reason() != "REPLICA_DAMAGED" || r.Header.Get("Retry-After") == "" {
			t.Fatalf("%s: got %v %v", method, r, r.Header)
		}
	}
	if r, err := victim.Call(context.Background(), "GET", "/readyz", nil, ""); err != nil || r.Status != 503 || r.Reason() != "REPLICA_DAMAGED" {
		t.Fatalf("readiness: got %v, %v", r, err)
	}
	ask(t, victim, "POST", "s-00", text, "!", 204) // writes are passed on
	for _, id := range c.Others(victim.ID) {
		n := c.Node(id)
		if n.Health.Damage() != "" {
			t.Fatalf("%s was taken out too: %s", id, n.Health.Damage())
		}
		if r := ask(t, n, "GET", "s-00?offset=-1", nil, "", 200); !strings.HasSuffix(r.Body, "!") {
			t.Fatalf("%s: got %v", id, r)
		}
		shown := c.Eventually(func() bool {
			for _, m := range n.Cluster.Status(context.Background()).Members {
				if m.NodeID == victim.ID {
					return m.Damage == victim.Health.Damage()
				}
			}
			return false
		})
		if !shown {
			t.Fatalf("the status of %s does not show the damage", id)
		}
	}
	if leader := c.WaitLeader(); leader.ID == victim.ID {
		t.Fatal("the damaged node leads")
	}
	if err := c.WaitLeader().Cluster.Transfer(context.Background(), victim.ID); err == nil || c.WaitLeader().ID == victim.ID {
		t.Fatalf("leadership went to the damaged node: %v", err)
	}
}

// expectReturn wants a damaged node to refuse a start, and to be filled anew with
// an empty disk.
func expectReturn(t *testing.T, c *Cluster, victim *Node) {
	t.Helper()
	c.Stop(victim.ID)
	o, err := c.disks[victim.ID].open(victim.ID, func(error) {})
	if !errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("a start with damaged data: got %v", errors.Join(err, o.close()))
	}
	c.disks[victim.ID] = newDisk(filepath.Join(c.opts.Dir, "anew"), victim.ID)
	c.Start(victim.ID)
	c.WaitReady()
	c.WaitEqual()
	ask(t, c.Node(victim.ID), "GET", "s-00?offset=-1", nil, "", 200)
}

// A replica that holds something else than the others tells nobody by itself: it
// is found by comparison, within one pass.
func TestTheOddOneOutStopsServing(t *testing.T) {
	for name, leads := range map[string]bool{"follower": false, "leader": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, dir string) {
				c, victim := scrubbed(t, dir, leads, often)
				ctx, cancel := context.WithTimeout(context.Background(), foundSoon)
				defer cancel()
				tail, _, err := victim.Follow(ctx, "s-01", "now")
				if err != nil || tail == nil {
					t.Fatal(err)
				}
				defer tail.Close()
				polled := make(chan Reply, 1)
				at := ask(t, victim, "HEAD", "s-02", nil, "", 200).Header.Get("Stream-Next-Offset")
				go func() {
					for {
						if r, err := victim.Ask("GET", "s-02?live=long-poll&offset="+at, nil, ""); err != nil || r.Status != 204 {
							polled <- r
							return
						}
					}
				}()
				begun := time.Now()
				ghost, err := victim.Engine.Stream("s-00")
				if err != nil || ghost == nil {
					t.Fatal(ghost, err)
				}
				b := victim.Engine.NewBatch()
				b.PutStream("ghost", stream.AppendState(nil, ghost))
				if err := victim.Engine.Commit(b, victim.Engine.Globals()); err != nil {
					t.Fatal(err)
				}
				select {
				case <-victim.Health.Damaged():
				case <-time.After(foundSoon):
					t.Fatal("it was not found")
				}
				t.Logf("found %v after the alteration", time.Since(begun))
				for {
					if _, err := tail.Event(); err != nil {
						if !errors.Is(err, io.EOF) {
							t.Fatalf("the tail ended with %v", err)
						}
						break
					}
				}
				if r := <-polled; r.Reason() != "REPLICA_DAMAGED" {
					t.Fatalf("the long-poll ended with %v", r)
				}
				expectOut(t, c, victim)
				for _, id := range c.Others(victim.ID) {
					if n := mismatches(t, c.Node(id)); n == 0 {
						t.Fatalf("%s counted no mismatch", id)
					}
				}
				expectReturn(t, c, victim)
			})
		})
	}
}

// A bit that flips in a file shows when somebody reads it; the scrub is somebody.
func TestAFlipThatNobodyReadsIsFound(t *testing.T) {
	for name, leads := range map[string]bool{"follower": false, "leader": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, dir string) {
				c, victim := scrubbed(t, dir, leads, often)
				tables := flip(t, c, victim)
				select {
				case <-victim.Health.Damaged():
				case <-time.After(foundSoon):
					t.Fatal("it was not found")
				}
				what := victim.Health.Damage()
				if !slices.ContainsFunc(tables, func(table string) bool { return strings.Contains(what, table) }) {
					t.Fatalf("found %q; the damage is in %v", what, tables)
				}
				expectOut(t, c, victim)
				expectReturn(t, c, victim)
			})
		})
	}
}

// Who reads it first gets no wrong answer, but another node's address.
func TestAFlipThatIsReadTakesTheNodeOut(t *testing.T) {
	inBubble(t, func(t *testing.T, dir string) {
		c, victim := scrubbed(t, dir, false, nil) // no scrub comes first
		flip(t, c, victim)
		for i := range 20 {
			r := ask(t, victim, "GET", fmt.Sprintf("s-%02d?offset=-1", i), nil, "", 200, 503)
			if r.Status == 503 && r.Reason() != "REPLICA_DAMAGED" || r.Status == 200 && r.Body != strings.Repeat("x", 2000) {
				t.Fatalf("got %v", r)
			}
		}
		if victim.Health.Damage() == "" {
			t.Fatal("all was read and nothing found")
		}
		expectOut(t, c, victim)
	})
}

// flip flips bits in the tables of a node's copy, which nobody has read, and names
// them.
func flip(t *testing.T, c *Cluster, victim *Node) (tables []string) {
	t.Helper()
	if err := victim.Engine.Flush(); err != nil {
		t.Fatal(err)
	}
	fs := c.disks[victim.ID].mem
	dirs, err := fs.List(root.Copy())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if !strings.HasPrefix(dir, "copy-") {
			continue
		}
		names, err := fs.List(fs.PathJoin(root.Copy(), dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.HasSuffix(name, ".sst") {
				continue
			}
			tables = append(tables, name)
			f, err := fs.OpenReadWrite(fs.PathJoin(root.Copy(), dir, name), vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("bits that were not there before"), 100); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	if len(tables) == 0 {
		t.Fatal("there is no table")
	}
	return tables
}

func mismatches(t *testing.T, n *Node) (sum float64) {
	t.Helper()
	families, err := n.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "mainstem_scrub_mismatch_total" {
			sum += f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return sum
}
