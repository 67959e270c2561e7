package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// health is a cluster.Health that tests spoil.
type health struct {
	mu     sync.Mutex // guards what
	what   string
	closed chan struct{}
}

func newHealth() *health { return &health{closed: make(chan struct{})} }

func (h *health) Damaged() <-chan struct{} { return h.closed }

func (h *health) Damage() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.what
}

func (h *health) spoil() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.what = "a block does not check"
	close(h.closed)
}

// examined is a cluster whose members' copies can be spoilt.
func examined(opts clustertest.Options) (clustertest.Options, map[string]*health) {
	healths := map[string]*health{}
	before := opts.Config
	opts.Config = func(id string, c *cluster.Config) {
		healths[id] = newHealth()
		c.Health = healths[id]
		c.Note = func() json.RawMessage { return fmt.Appendf(nil, `{"of":%q}`, id) }
		if before != nil {
			before(id, c)
		}
	}
	return opts, healths
}

func TestALeaderWhoseCopyIsDamagedHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts, healths := examined(options())
		c := clustertest.Of(t, 3, opts)
		submit(t, c.WaitLeader(), "before")
		old := c.WaitLeader().ID
		healths[old].spoil()
		begin := time.Now()
		for c.WaitLeader().ID == old {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begin); took > time.Second {
			t.Fatalf("it led for another %v", took)
		}
		submit(t, c.Node(old), "passed on")
		if err := c.Node(old).Ready(); err == nil || !strings.Contains(err.Error(), "a block does not check") {
			t.Fatalf("ready: %v", err)
		}
		if err := c.WaitLeader().Transfer(t.Context(), old); err == nil || c.WaitLeader().ID == old {
			t.Fatalf("leadership went back: %v", err)
		}
		time.Sleep(3 * time.Second)
		for _, m := range c.WaitLeader().Status(t.Context()).Members {
			if (m.Damage != "") != (m.NodeID == old) {
				t.Fatalf("member %+v", m)
			}
			if self := m.NodeID == c.WaitLeader().ID; !self && string(m.Note) != fmt.Sprintf(`{"of":%q}`, m.NodeID) {
				t.Fatalf("note of %s: %q", m.NodeID, m.Note)
			}
		}
	})
}

// Nobody else is there: what it would decide is not to be trusted.
func TestADamagedLeaderProposesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts, healths := examined(options())
		c := clustertest.Of(t, 3, opts)
		leader := c.WaitLeader()
		submit(t, leader, "before")
		// The others get nothing any more, and know what they must not lead for.
		for _, id := range c.IDs() {
			if id != leader.ID {
				healths[id].spoil()
			}
		}
		time.Sleep(3 * time.Second)
		healths[leader.ID].spoil()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if r, err := leader.Submit(ctx, command("x")); err == nil {
			t.Fatalf("a damaged leader decided: %+v", r)
		}
		if err := leader.Fence(ctx); err == nil {
			t.Fatal("a damaged leader answered a fence")
		}
	})
}

func TestADamagedMemberGetsNoVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts, healths := examined(options())
		c := clustertest.Of(t, 3, opts)
		submit(t, c.WaitLeader(), "x")
		votes := func(id string) bool {
			for _, m := range c.WaitLeader().Status(t.Context()).Members {
				if m.NodeID == id {
					return m.Voter
				}
			}
			return false
		}
		for _, id := range []string{"n4", "n5"} {
			c.Start(id, 1, "n1")
			if id == "n5" {
				healths[id].spoil()
			}
		}
		time.Sleep(20 * time.Second)
		if !votes("n4") || votes("n5") {
			t.Fatalf("n4 votes %v, n5, which is damaged, %v", votes("n4"), votes("n5"))
		}
	})
}
