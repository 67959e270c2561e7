package recovery_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"mainstem/recovery"
	"mainstem/storage"
	"mainstem/test/sim"
)

// pairs collects an export.
type pairs struct{ keys, values [][]byte }

func (p *pairs) Pair(key, value []byte) error {
	p.keys, p.values = append(p.keys, bytes.Clone(key)), append(p.values, bytes.Clone(value))
	return nil
}
func (p *pairs) Held(storage.Held) error { return nil }

// taken is what a node's copy holds, as a restoration.
func taken(t *testing.T, n *sim.Node) recovery.Restoration {
	t.Helper()
	v, err := n.Engine.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	g, err := v.Globals()
	if err != nil {
		t.Fatal(err)
	}
	var p pairs
	if err := v.Export(t.Context(), func(uint64) (uint64, bool) { return 0, false }, &p); err != nil {
		t.Fatal(err)
	}
	return recovery.Restoration{Backup: "b1", Index: g.Applied, Term: g.Term, NodeID: "n1", Address: "10.9.9.9:4438",
		Fill: func(f *storage.Filler) error {
			for i, key := range p.keys {
				if bytes.Compare(key, f.Last()) <= 0 {
					continue
				}
				if err := f.Add(key, p.values[i]); err != nil {
					return err
				}
			}
			return nil
		}}
}

// TestARestoredClusterHoldsWhatTheBackupHeld ends the restore after each of its
// steps, and the cluster that is made of it grows by nodes that were of the old one.
func TestARestoredClusterHoldsWhatTheBackupHeld(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *sim.Cluster) {
		want := write(t, c, "kept", 5)
		n := c.Running()[0]
		ask(t, n, "PUT", "closed", "", 201)
		if r, err := n.Ask("POST", "closed", sim.Headers{"Content-Type": "text/plain", "Stream-Closed": "true"}, "end"); err != nil || r.Status != 204 {
			t.Fatalf("got %v, %v", r, err)
		}
		producer := sim.Headers{"Content-Type": "text/plain", "Producer-Id": "p", "Producer-Epoch": "3", "Producer-Seq": "0"}
		if r, err := n.Ask("POST", "kept", producer, "produced"); err != nil || r.Status != 200 {
			t.Fatalf("got %v, %v", r, err)
		}
		want += "produced"
		if r, err := n.Ask("PUT", "fork", sim.Headers{"Stream-Forked-From": "/v1/stream/kept"}, ""); err != nil || r.Status != 201 {
			t.Fatalf("got %v, %v", r, err)
		}
		level(t, c)
		old := c.Node("n2").Cluster.Status(t.Context()).ClusterID
		r := taken(t, c.Node("n2"))
		ask(t, n, "PUT", "after", "too late", 201)
		c.Crash("n1", "n2", "n3")
		for _, id := range []string{"n1", "n2", "n3"} {
			if err := os.RemoveAll(string(c.DataDir(id))); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []string{"journal", "filled", "term", "snapshot", "entry"} {
			_, err := recovery.Restore(c.DataDir("n1"), r, recovery.Interrupted(recovery.Options{}, func(name string) error {
				if name == step {
					return errCrash
				}
				return nil
			}))
			if !errors.Is(err, errCrash) {
				t.Fatalf("stopped after %s: got %v", step, err)
			}
			if _, err := c.TryStart("n1"); err == nil || !strings.Contains(err.Error(), "mainstem backup restore") {
				t.Fatalf("started after %s: got %v", step, err)
			}
		}
		other := r
		other.Backup = "b2"
		if _, err := recovery.Restore(c.DataDir("n1"), other, recovery.Options{}); err == nil || !strings.Contains(err.Error(), "b1") {
			t.Fatalf("another backup in the middle of a restore: got %v", err)
		}
		done, err := recovery.Restore(c.DataDir("n1"), r, recovery.Options{})
		if err != nil || done.ClusterID == old || done.NodeID != "n1" {
			t.Fatalf("got %+v, %v", done, err)
		}
		if _, err := recovery.Restore(c.DataDir("n1"), r, recovery.Options{}); err == nil || !strings.Contains(err.Error(), "is in use") {
			t.Fatalf("restored twice: got %v", err)
		}
		n1 := c.Start("n1")
		c.WaitReady()
		holds(t, n1, "kept", want)
		c.Start("n2")
		c.Start("n3")
		voters(t, c, n1, 3)
		c.WaitReady()
		level(t, c)
		for _, n := range c.Running() {
			holds(t, n, "kept", want)
			holds(t, n, "fork", want)
			if got := ask(t, n, "GET", "closed?offset=-1", "", 200); got.Body != "end" || got.Header.Get("Stream-Closed") != "true" {
				t.Fatalf("closed: got %v", got)
			}
			ask(t, n, "GET", "after?offset=-1", "", 404)
			if r, err := n.Ask("POST", "kept", producer, "produced"); err != nil || r.Status != 204 {
				t.Fatalf("the producer's repeat: got %v, %v", r, err)
			}
			if st := n.Cluster.Status(t.Context()); st.ClusterID != done.ClusterID {
				t.Fatalf("got cluster %s, want %s", st.ClusterID, done.ClusterID)
			}
		}
		ask(t, n1, "POST", "kept", "more", 204)
		holds(t, c.Node("n3"), "kept", want+"more")
	})
}

func TestARestoreRefusesABackupThatIsNotWhatItSays(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, c *sim.Cluster) {
		write(t, c, "kept", 1)
		r := taken(t, c.Node("n1"))
		r.Index++
		if _, err := recovery.Restore(storage.Dir(t.TempDir()), r, recovery.Options{}); err == nil || !strings.Contains(err.Error(), "ends at entry") {
			t.Fatalf("got %v", err)
		}
	})
}
