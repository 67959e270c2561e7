package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	catchUpWithin = 20 * time.Second
	reconnectWait = 20 * time.Millisecond
)

// follower is a live reader of one stream through one node. It comes again with
// its last offset whenever its connection ends, and keeps what it was given.
type follower struct {
	node   *harness.Node
	stream *loadStream
	mode   string // "sse" or "long-poll"

	mu     sync.Mutex
	offset string // guarded by mu, as is all below
	got    []byte
	opened int   // connections and polls
	err    error // an answer no live reader may get
}

// followers are an SSE and a long-poll reader of one stream on each node.
type followers struct {
	t      *testing.T
	all    []*follower
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func startFollowers(t *testing.T, c *harness.Cluster, l *load) *followers {
	ctx, cancel := context.WithCancel(context.Background())
	f := &followers{t: t, cancel: cancel}
	for i, n := range c.Nodes {
		for j, mode := range []string{"sse", "long-poll"} {
			one := &follower{node: n, stream: l.streams[(2*i+j)%(loadJSONEvery-1)], mode: mode, offset: "-1"}
			f.all = append(f.all, one)
			f.wait.Go(func() { one.run(ctx) })
		}
	}
	t.Cleanup(cancel)
	return f
}

// check waits until each follower has come to the tail, ends it, and wants it to
// have been given the stream: no gap, no repeat.
func (f *followers) check() {
	f.t.Helper()
	defer f.wait.Wait()
	defer f.cancel()
	opened, total := 0, 0
	for _, one := range f.all {
		whole, err := one.node.Client().ReadAll(one.stream.name, "-1", nil)
		if err != nil {
			f.t.Fatal(err)
		}
		harness.Eventually(f.t, catchUpWithin, fmt.Sprintf("the %s reader of %s at %s comes to the tail", one.mode, one.stream.name, one.node.ID), func() error {
			one.mu.Lock()
			defer one.mu.Unlock()
			if one.err == nil && one.offset != whole.Next {
				return fmt.Errorf("at %s of %s", one.offset, whole.Next)
			}
			return nil
		})
		one.mu.Lock()
		got, err := one.got, one.err
		opened, total = opened+one.opened, total+len(one.got)
		one.mu.Unlock()
		if err != nil {
			f.t.Fatalf("the %s reader of %s at %s: %v", one.mode, one.stream.name, one.node.ID, err)
		}
		if !bytes.Equal(got, whole.Bytes()) {
			f.t.Fatalf("the %s reader of %s at %s was given %d bytes that are not the stream's %d: %s",
				one.mode, one.stream.name, one.node.ID, len(got), len(whole.Bytes()), difference(got, whole.Bytes()))
		}
	}
	f.t.Logf("%d live readers were given %d bytes over %d connections and polls: no gap, no repeat", len(f.all), total, opened)
}

// difference shows where two byte strings part.
func difference(got, want []byte) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	show := func(b []byte) []byte { return b[max(0, at-20):min(len(b), at+40)] }
	return fmt.Sprintf("at %d got %q, want %q", at, show(got), show(want))
}

func (f *follower) run(ctx context.Context) {
	client := f.node.Client()
	for ctx.Err() == nil {
		f.mu.Lock()
		f.opened++
		f.mu.Unlock()
		var err error
		if f.mode == "sse" {
			err = f.tail(ctx, client)
		} else {
			err = f.poll(client)
		}
		var refused *harness.Refused
		if errors.As(err, &refused) && refused.Answer.Status < 500 {
			f.mu.Lock()
			f.err = err
			f.mu.Unlock()
			return
		}
		if err != nil {
			time.Sleep(reconnectWait)
		}
	}
}

// take keeps what came and from where to go on.
func (f *follower) take(data []byte, next string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, data...)
	f.offset = next
}

func (f *follower) tail(ctx context.Context, client *harness.Client) error {
	tail, err := client.Tail(ctx, f.stream.name, f.offset)
	if err != nil {
		return err
	}
	defer tail.Close()
	var data []byte // counts once its control event has come
	for {
		e, err := tail.Next()
		if errors.Is(err, io.EOF) || err != nil {
			return err
		}
		if e.Name == "data" {
			data = append(data, e.Data...)
			continue
		}
		control, err := e.Control()
		if err != nil {
			return err
		}
		f.take(data, control.Next)
		data = nil
	}
}

func (f *follower) poll(client *harness.Client) error {
	a, err := client.LongPoll(f.stream.name, f.offset)
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusNoContent && a.Next() != f.offset && f.offset != "-1":
		return fmt.Errorf("204 moved the offset from %s to %s: %w", f.offset, a.Next(), &harness.Refused{Answer: a})
	case a.Status != http.StatusOK && a.Status != http.StatusNoContent:
		return &harness.Refused{Answer: a}
	}
	f.take(a.Body, a.Next())
	return nil
}
