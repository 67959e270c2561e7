package test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	rollingRounds = 2                      // of all nodes
	elsewhereFor  = 2 * time.Second        // that a client stays away from a node which said Connection: close
	gapPromised   = 500 * time.Millisecond // on a machine of its own
	gapMax        = 2 * time.Second        // on any
	slowestStop   = 20 * time.Second
)

// TestRollingRestartFailsNoRequest stops and starts all nodes one after the
// other under plain appends, which a client cannot send again. Clients do what
// a load balancer does: they leave a node that closes their connection or
// refuses one. Every other error fails the test.
func TestRollingRestartFailsNoRequest(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	l := startPlain(t, c.URLs())
	for round := range rollingRounds {
		for _, n := range c.Nodes {
			l.waitAcks(acksPerRound)
			led := c.Leader() == n
			l.gap.Reset()
			began := time.Now()
			n.Stop()
			stopped := time.Since(began)
			n.Start()
			n.WaitReady()
			ready := time.Since(began)
			l.waitAcks(acksPerRound)
			gap := l.gap.Longest()
			t.Logf("round %d, %s (leader %v): stopped in %v, ready after %v, longest gap between acknowledgements %v of %v promised",
				round+1, n.ID, led, stopped.Round(time.Millisecond), ready.Round(time.Millisecond), gap, gapPromised)
			if gap > gapMax {
				t.Errorf("the longest gap is %v, want %v at most", gap, gapMax)
			}
			if stopped > slowestStop {
				t.Errorf("%s took %v to stop", n.ID, stopped)
			}
		}
	}
	l.finish()
	l.check(c)
}

// TestNodesThatStopTogetherDoNotWaitForEachOther stops all at once.
func TestNodesThatStopTogetherDoNotWaitForEachOther(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	began := time.Now()
	for _, n := range c.Nodes {
		n.Terminate()
	}
	for _, n := range c.Nodes {
		if code := n.Exit(stopTogetherWithin); code != 0 {
			t.Errorf("%s left with %d, want 0", n.ID, code)
		}
	}
	t.Logf("three nodes stopped together in %v", time.Since(began).Round(time.Millisecond))
	c.Start()
	c.WaitReady()
}

const stopTogetherWithin = 5 * time.Second

// TestTheSecondNodeWaitsForTheFirst asks a second node to stop while the first
// is away: it serves on until the first is back.
func TestTheSecondNodeWaitsForTheFirst(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	l := startPlain(t, c.URLs())
	first, second := c.Nodes[0], c.Nodes[1]
	first.Stop()
	time.Sleep(apartBy)
	l.waitAcks(acksPerRound)
	second.Terminate()
	time.Sleep(lonelyFor)
	if !second.Running() {
		t.Fatalf("%s stopped and left the cluster without a quorum", second.ID)
	}
	l.waitAcks(acksPerRound)
	first.Start()
	if code := second.Exit(slowestStop); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	first.WaitReady()
	l.waitAcks(acksPerRound)
	second.Start()
	second.WaitReady()
	l.finish()
	l.check(c)
	t.Logf("longest gap between acknowledgements %v", l.gap.Longest())
}

// apartBy is above the time within which two stops count as one.
const apartBy = 4 * time.Second

func TestASecondSignalEndsTheWait(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	c.Nodes[0].Kill()
	c.Nodes[1].Terminate()
	time.Sleep(lonelyFor)
	if !c.Nodes[1].Running() {
		t.Fatal("it did not wait")
	}
	c.Nodes[1].Terminate()
	c.Nodes[1].Exit(time.Second)
}

// plain is 64 writers without producer headers, so that nothing hides a request
// that was carried out twice or not at all.
type plain struct {
	t       *testing.T
	streams []string
	writers []*plainWriter
	stop    chan struct{}
	wait    sync.WaitGroup
	gate    sync.RWMutex // held for writing while nobody appends
	acked   atomic.Int64
	failed  atomic.Pointer[error]
	gap     harness.Gap
}

type plainWriter struct {
	number  int
	stream  string
	clients []*harness.Client
	away    []time.Time // until when each is not used
	home    int
	acks    int
	moved   int
	slowest time.Duration
}

func startPlain(t *testing.T, urls []string) *plain {
	t.Helper()
	l := &plain{t: t, stop: make(chan struct{})}
	for i := range loadStreams {
		name := fmt.Sprintf("plain/%02d", i)
		a, err := harness.NewClient(urls[i%len(urls)]).Create(name, harness.Headers("Content-Type", text), "")
		if err != nil || a.Status != http.StatusCreated {
			t.Fatalf("create %s: %s, %v", name, a, err)
		}
		l.streams = append(l.streams, name)
	}
	for i := range loadWriters {
		w := &plainWriter{number: i, stream: l.streams[i%loadStreams], home: i % len(urls), away: make([]time.Time, len(urls))}
		for _, u := range urls {
			w.clients = append(w.clients, harness.NewClient(u))
		}
		l.writers = append(l.writers, w)
	}
	l.gap.Start()
	for _, w := range l.writers {
		l.wait.Go(func() { l.write(w) })
	}
	return l
}

func (l *plain) write(w *plainWriter) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		l.gate.RLock()
		err := w.append()
		l.gate.RUnlock()
		if err != nil {
			err = fmt.Errorf("writer %d, append %d: %w", w.number, w.acks, err)
			l.failed.CompareAndSwap(nil, &err)
			return
		}
		w.acks++
		l.acked.Add(1)
		l.gap.Tick()
	}
}

// append sends one append to the first node, from home on, that takes it. A
// refused connection is the only error after which it goes on: nothing was sent.
func (w *plainWriter) append() error {
	body := fmt.Sprintf(textLine, w.number, w.acks)
	for try := range 3 * len(w.clients) {
		at := (w.home + try) % len(w.clients)
		c := w.clients[at]
		if !w.away[at].IsZero() && try < len(w.clients) && !w.back(at) {
			continue
		}
		began := time.Now()
		a, err := c.Do(context.Background(), http.MethodPost, harness.StreamPath(w.stream), harness.Headers("Content-Type", text), strings.NewReader(body))
		if refused(err) {
			w.moved++
			w.away[at] = time.Now().Add(elsewhereFor)
			continue
		}
		if err != nil || a.Status != http.StatusNoContent {
			return fmt.Errorf("at %s, after %v: %s, %v", c.Base, time.Since(began), a, err)
		}
		w.slowest = max(w.slowest, time.Since(began))
		if a.Last {
			w.moved++
			w.away[at] = time.Now().Add(elsewhereFor)
		}
		return nil
	}
	return errors.New("no node takes the append")
}

// back reports that a node which was left is to be used again: some time has
// passed, and it says that it is ready.
func (w *plainWriter) back(at int) bool {
	if time.Now().Before(w.away[at]) {
		return false
	}
	w.away[at] = time.Now().Add(elsewhereFor)
	if a, err := w.clients[at].Get("/readyz", nil); err != nil || a.Status != http.StatusOK {
		return false
	}
	w.away[at] = time.Time{}
	return true
}

// refused reports that there was no connection to send a request on.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED)
}

func (l *plain) waitAcks(more int64) {
	l.t.Helper()
	want := l.acked.Load() + more
	harness.Eventually(l.t, ackWithin, fmt.Sprintf("%d more acknowledgements", more), func() error {
		if err := l.failed.Load(); err != nil {
			l.t.Fatalf("a request has failed: %v", *err)
		}
		if n := l.acked.Load(); n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	})
}

// quietly calls fn while no append is under way; the time counts for no gap.
func (l *plain) quietly(fn func()) {
	l.gate.Lock()
	defer l.gate.Unlock()
	fn()
	l.gap.Start()
}

func (l *plain) finish() {
	l.t.Helper()
	close(l.stop)
	l.wait.Wait()
	if err := l.failed.Load(); err != nil {
		l.t.Fatalf("a request has failed: %v", *err)
	}
	moved, slowest := 0, time.Duration(0)
	for _, w := range l.writers {
		moved += w.moved
		slowest = max(slowest, w.slowest)
	}
	l.t.Logf("%d writers: %d appends acknowledged, none failed, %d moves to another node, slowest request %v",
		len(l.writers), l.acked.Load(), moved, slowest.Round(time.Millisecond))
}

// check wants what was acknowledged, once and in order, on every node.
func (l *plain) check(c *harness.Cluster) {
	l.t.Helper()
	c.WaitEqual()
	next := map[int]int{}
	for _, name := range l.streams {
		got, err := c.Nodes[0].Client().ReadAll(name, "-1", nil)
		if err != nil {
			l.t.Fatal(err)
		}
		for line := range strings.Lines(string(got.Bytes())) {
			var w, seq int
			if _, err := fmt.Sscanf(line, textLine, &w, &seq); err != nil || seq != next[w] {
				l.t.Fatalf("%s: %q follows append %d of its writer", name, line, next[w]-1)
			}
			next[w]++
		}
	}
	for _, w := range l.writers {
		if next[w.number] != w.acks {
			l.t.Fatalf("writer %d: %d appends are in the stream, %d were acknowledged", w.number, next[w.number], w.acks)
		}
	}
}
