package sim

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/cluster"
)

// TestAnAbsentNodeIsFilledFromASnapshot takes each node away until the others
// have dropped the entries that it would need.
func TestAnAbsentNodeIsFilledFromASnapshot(t *testing.T) {
	inBubble(t, func(t *testing.T, dir string) {
		c := New(t, Options{Dir: dir, Seed: 3, Delay: time.Millisecond, Cluster: func(cfg *cluster.Config) {
			cfg.SnapshotThreshold, cfg.SnapshotInterval, cfg.TrailingLogs = 50, time.Second, 10
		}})
		ask(t, c.Node("n1"), "PUT", "s", text, "", 201)
		want, longest := "", time.Duration(0)
		for i, id := range c.IDs {
			c.Crash(id)
			c.WaitLeader()
			for j := range 300 {
				payload := fmt.Sprintf("%d.%d;", i, j)
				ask(t, c.Running()[j%2], "POST", "s", text, payload, 204)
				want += payload
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(3 * time.Second)
			back := time.Now()
			n := c.Start(id)
			c.WaitReady()
			longest = max(longest, time.Since(back))
			got := ask(t, n, "GET", "s?offset=-1", nil, "", 200)
			if got.Body != want {
				t.Fatalf("%s after its absence: got %d bytes, want %d", id, len(got.Body), len(want))
			}
			// What it was filled with must outlive it.
			c.Crash(id)
			c.Start(id)
			c.WaitReady()
			if got := ask(t, c.Node(id), "GET", "s?offset=-1", nil, "", 200); !strings.HasPrefix(got.Body, want) {
				t.Fatalf("%s after a crash: got %d bytes, want %d", id, len(got.Body), len(want))
			}
		}
		c.WaitEqual()
		if got := c.restored.Load(); got < int64(len(c.IDs)) {
			t.Errorf("got %d copies restored, want %d at least", got, len(c.IDs))
		}
		t.Logf("%d copies restored, ready again within %v", c.restored.Load(), longest)
	})
}

// failing is a machine whose restore fails, as one that is cut short by a crash.
type failing struct {
	cluster.Machine
	left *atomic.Int64
}

func (f failing) Restore(source io.ReadCloser) error {
	if f.left.Add(-1) >= 0 {
		return errors.Join(errors.New("sim: this restore fails"), source.Close())
	}
	return f.Machine.Restore(source)
}

// TestACrashInTheMidstOfARestoreIsSurvived has the snapshot on the disk, and the
// log and the copy from before it.
func TestACrashInTheMidstOfARestoreIsSurvived(t *testing.T) {
	inBubble(t, func(t *testing.T, dir string) {
		var failures atomic.Int64
		c := New(t, Options{Dir: dir, Seed: 4,
			Cluster: func(cfg *cluster.Config) {
				cfg.SnapshotThreshold, cfg.SnapshotInterval, cfg.TrailingLogs = 50, time.Second, 10
			},
			Machine: func(_ *Node, inner cluster.Machine) cluster.Machine { return failing{inner, &failures} },
		})
		ask(t, c.Node("n1"), "PUT", "s", text, "", 201)
		absent := c.Others(c.WaitLeader().ID)[0]
		c.Crash(absent)
		writer := c.WaitLeader()
		for range 300 {
			ask(t, writer, "POST", "s", text, "x", 204)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		const many = 1 << 30
		failures.Store(many)
		c.Start(absent)
		if !c.Eventually(func() bool { return failures.Load() < many }) {
			t.Fatal("no snapshot came")
		}
		// A leader that has not sent the snapshot itself goes on after it, and does
		// not send it again.
		c.Crash(c.IDs...)
		failures.Store(0)
		for _, id := range c.IDs {
			c.Start(id)
		}
		c.WaitReady()
		n := c.Node(absent)
		ask(t, n, "POST", "s", text, "y", 204)
		if got := ask(t, n, "GET", "s?offset=-1", nil, "", 200); len(got.Body) != 301 {
			t.Errorf("got %d bytes, want 301", len(got.Body))
		}
		c.WaitEqual()
	})
}
