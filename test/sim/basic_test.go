package sim

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tempDir is on a file system in memory where there is one: what the raft log
// syncs is not lost with a process, and no power is cut here.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mainstem-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// inBubble runs f in virtual time and says how much of it went by.
func inBubble(t *testing.T, f func(t *testing.T, dir string)) {
	t.Helper()
	dir, begin := tempDir(t), time.Now()
	synctest.Test(t, func(t *testing.T) {
		virtual := time.Now()
		f(t, dir)
		t.Logf("%v of virtual time in %v", time.Since(virtual).Round(time.Millisecond), realSince(begin))
	})
}

// ask is a request that must be answered with one of the wanted statuses.
func ask(t testing.TB, n *Node, method, name string, h Headers, body string, want ...int) Reply {
	t.Helper()
	r, err := n.Ask(method, name, h, body)
	if err != nil {
		t.Fatalf("%s %s at %s: %v", method, name, n.ID, err)
	}
	for _, w := range want {
		if r.Status == w {
			return r
		}
	}
	t.Fatalf("%s %s at %s: got %v, want status %v", method, name, n.ID, r, want)
	return r
}

func TestEveryNodeTakesEveryRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, dir string) {
		c := New(t, Options{Dir: dir})
		requests, events := 0, 0
		for i, n := range c.Running() {
			name := "through-" + n.ID
			ask(t, n, "PUT", name, text, "", 201)
			want := ""
			for j, writer := range c.Running() {
				payload := fmt.Sprintf("%d.%d;", i, j)
				wrote := ask(t, writer, "POST", name, text, payload, 204)
				want += payload
				for _, reader := range c.Running() {
					if got := ask(t, reader, "GET", name+"?offset=-1", nil, "", 200); got.Body != want || !got.UpToDate() {
						t.Errorf("read at %s: got %v, want %q up to date", reader.ID, got, want)
					}
					if got := ask(t, reader, "HEAD", name, nil, "", 200); got.Next() != wrote.Next() {
						t.Errorf("head at %s: got %v, want tail %v", reader.ID, got.Next(), wrote.Next())
					}
					events += expectTail(t, reader, name, want)
					requests += 3
				}
			}
			events += expectLongPolls(t, c, name)
		}
		t.Logf("%d requests, %d live answers", requests, events)
	})
}

// expectTail follows a stream from its start and wants to see what it holds.
func expectTail(t testing.TB, n *Node, name, want string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	tail, reply, err := n.Follow(ctx, name, "-1")
	if err != nil || tail == nil {
		t.Fatalf("follow %s at %s: %v %v", name, n.ID, reply, err)
	}
	defer tail.Close()
	var got strings.Builder
	for got.Len() < len(want) {
		e, err := tail.Event()
		if err != nil {
			t.Fatalf("event of %s at %s: %v after %q", name, n.ID, err, got.String())
		}
		got.WriteString(e.Data)
	}
	if got.String() != want {
		t.Errorf("tail at %s: got %q, want %q", n.ID, got.String(), want)
	}
	return 1
}

// expectLongPolls waits at every node for one append, made at another.
func expectLongPolls(t testing.TB, c *Cluster, name string) int {
	t.Helper()
	nodes := c.Running()
	for i, n := range nodes {
		at := ask(t, n, "HEAD", name, nil, "", 200).Header.Get("Stream-Next-Offset")
		got := make(chan Reply, 1)
		go func() {
			r, err := n.Ask("GET", name+"?live=long-poll&offset="+at, nil, "")
			if err != nil {
				r.Body = err.Error()
			}
			got <- r
		}()
		time.Sleep(time.Second)
		payload := "polled at " + n.ID
		ask(t, nodes[(i+1)%len(nodes)], "POST", name, text, payload, 204)
		if r := <-got; r.Status != 200 || r.Body != payload {
			t.Errorf("long-poll at %s: got %v, want %q", n.ID, r, payload)
		}
	}
	return len(nodes)
}

func TestLivesThroughCrashesOfAll(t *testing.T) {
	inBubble(t, func(t *testing.T, dir string) {
		c := New(t, Options{Dir: dir, Seed: 7})
		ask(t, c.Node("n1"), "PUT", "s", text, "", 201)
		want := ""
		for round := range 5 {
			for i := range 20 {
				payload := fmt.Sprintf("%d.%d;", round, i)
				ask(t, c.Node(c.IDs[i%3]), "POST", "s", text, payload, 204)
				want += payload
			}
			c.Crash(c.IDs...)
			for _, id := range c.IDs {
				c.Start(id)
			}
			c.WaitReady()
		}
		for _, n := range c.Running() {
			if got := ask(t, n, "GET", "s?offset=-1", nil, "", 200).Body; got != want {
				t.Errorf("%s: got %d bytes, want %d", n.ID, len(got), len(want))
			}
		}
		c.WaitEqual()
	})
}
