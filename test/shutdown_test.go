package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	shutdownWithin = 30 * time.Second // as promised
	// A node waits for one that is away only for a part of its own time.
	ownShutdownTimeout = "10s"
	aloneStopWithin    = 12 * time.Second
)

func TestShutdownOfASingleNodeUnderLoad(t *testing.T) {
	harness.Require(t)
	shutdown(t, harness.StartCluster(t, 1, "--long-poll-timeout", "20s"), func(c *harness.Cluster) *harness.Node { return c.Nodes[0] })
}

func TestShutdownOfTheLeaderUnderLoad(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, "--long-poll-timeout", "20s", "--shutdown-timeout", ownShutdownTimeout)
	shutdown(t, c, (*harness.Cluster).Leader)
	for _, n := range c.Nodes { // one by one, without a quorum at the end
		began := time.Now()
		n.Stop()
		took := time.Since(began).Round(time.Millisecond)
		t.Logf("%s stopped in %v", n.ID, took)
		if took > aloneStopWithin {
			t.Errorf("want %s to stop in %v at most", n.ID, aloneStopWithin)
		}
	}
}

// shutdown sends SIGTERM to a node while producers write, one reader waits in a
// long-poll, one follows over SSE, and one append is half sent.
func shutdown(t *testing.T, c *harness.Cluster, pick func(*harness.Cluster) *harness.Node) {
	n := pick(c)
	l := startLoad(t, c.URLs())
	client := n.Client()
	var a harness.Answer
	var err error
	for _, name := range []string{"in-flight", "quiet"} {
		if a, err = client.Create(name, harness.Headers("Content-Type", text), "here "); err != nil || a.Status != 201 {
			t.Fatalf("create: %s, %v", a, err)
		}
	}
	l.waitAcks(acksPerRound)

	poll := later(func() error { return pollEndsEmpty(client, a.Next()) })
	tail := later(func() error { return tailEndsCleanly(client) })
	half := newHalfAppend()
	inFlight := later(func() error { return half.send(n.Client()) })
	time.Sleep(loadBefore) // until all three have arrived at the node

	began := time.Now()
	n.Terminate()
	time.Sleep(50 * time.Millisecond) // so that the node is in the middle of its end
	half.finish()
	for name, wait := range map[string]func() error{"long-poll": poll, "SSE": tail, "append in flight": inFlight} {
		if err := wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if code := n.Exit(shutdownWithin); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	took := time.Since(began)

	n.Start()
	n.WaitReady()
	l.waitAcks(acksPerRound)
	l.finish()
	l.tell(0)
	l.check(c.Nodes)
	got, err := n.Client().ReadAll("in-flight", "-1", nil)
	if err != nil || string(got.Bytes()) != "here "+half.whole {
		t.Fatalf("the append in flight: got %q, %v, want %q", got.Bytes(), err, half.whole)
	}
	t.Logf("SIGTERM to exit 0 in %v; long-poll answered 204, SSE ended, append in flight kept", took.Round(time.Millisecond))
}

// later runs f and returns a function that waits for it.
func later(f func() error) func() error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() error {
		select {
		case err := <-done:
			return err
		case <-time.After(shutdownWithin):
			return errors.New("has not ended")
		}
	}
}

func pollEndsEmpty(c *harness.Client, at string) error {
	began := time.Now()
	a, err := c.LongPoll("quiet", at)
	switch {
	case err != nil:
		return err
	case a.Status != http.StatusNoContent || a.Next() != at || !a.UpToDate() || a.Header.Get("Stream-Cursor") == "":
		return fmt.Errorf("want 204 at %s with its headers, got %s", at, a)
	case time.Since(began) < loadBefore/2:
		return fmt.Errorf("answered after %v: it did not wait", time.Since(began))
	}
	return nil
}

func tailEndsCleanly(c *harness.Client) error {
	tail, err := c.Tail(context.Background(), "quiet", "-1")
	if err != nil {
		return err
	}
	defer tail.Close()
	events, data := 0, 0
	for {
		e, err := tail.Next()
		switch {
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			if data != 1 || events < 2 {
				return fmt.Errorf("saw %d data events among %d", data, events)
			}
			return nil
		case err != nil:
			return err
		case e.Name == "data":
			data++
		}
		events++
	}
}

// halfAppend is an append whose body comes in two parts, with the node's order
// to stop between them.
type halfAppend struct {
	whole string
	body  *io.PipeReader
	feed  *io.PipeWriter
}

func newHalfAppend() *halfAppend {
	h := &halfAppend{whole: "first half, second half"}
	h.body, h.feed = io.Pipe()
	return h
}

// send sends the request and wants it carried out.
func (h *halfAppend) send(c *harness.Client) error {
	go h.feed.Write([]byte(h.whole[:len(h.whole)/2])) // ends when the transport has read it
	a, err := c.Do(context.Background(), http.MethodPost, harness.StreamPath("in-flight"), harness.Headers("Content-Type", text), h.body)
	if err != nil || a.Status != http.StatusNoContent {
		return fmt.Errorf("want 204, got %s, %v", a, err)
	}
	return nil
}

func (h *halfAppend) finish() {
	h.feed.Write([]byte(h.whole[len(h.whole)/2:])) // an error shows in the request
	h.feed.Close()                                 // the end of the body
}
