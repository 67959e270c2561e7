package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/test/harness"
)

// The size of the load. It is small enough for a machine with two processors to
// keep up with, since faults should meet a busy cluster, not a congested one.
const (
	dataStreams   = 9 // each third one JSON; half the writers are producers
	plainWriters  = 12
	makerWriters  = 12 // with producers
	catchUpCount  = 4
	ownersCount   = 3
	registerSets  = 2
	knownOffsets  = 64
	bigEvery      = 101 // each so many appends is bigBytes long
	bigBytes      = 24 << 10
	ackWithin     = 60 * time.Second
	healWithin    = 30 * time.Second
	pauseOnError  = 15 * time.Millisecond
	writerPause   = 4 * time.Millisecond // at most, between two appends of one writer
	catchUpPause  = 8 * time.Millisecond
	ownerPause    = 40 * time.Millisecond
	tailsPerNode  = 2
	tailsToTheEnd = 20 * time.Second
)

// endpoint is one node as a client sees it.
type endpoint struct {
	id     string
	client *harness.Client
}

// dataStream is a stream that writers append to for a whole round.
type dataStream struct {
	name string

	mu    sync.Mutex
	known []string // some of the newest offsets that answers told
}

func (s *dataStream) learn(offset string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = append(s.known, offset)
	if len(s.known) > knownOffsets {
		s.known = s.known[1:]
	}
}

// crew is the load of one round: writers, readers, owners of short-lived
// streams and clients of registers, through all nodes. It records what each did.
type crew struct {
	t       *testing.T
	seed    uint64
	history *history
	nodes   []endpoint
	streams []*dataStream
	stop    chan struct{}
	wait    sync.WaitGroup  // writers and catch-up readers
	ctx     context.Context // ends when the crew is abandoned
	quit    context.CancelFunc
	live    sync.WaitGroup // live readers
	tails   []*tail
	owners  []*owner
	acked   atomic.Int64
	gap     harness.Gap
	failed  atomic.Pointer[error] // the first answer that no valid request may get
}

// startCrew creates the streams of a round and starts its clients.
func startCrew(t *testing.T, p plan, round int, nodes []*harness.Node) *crew {
	t.Helper()
	ctx, quit := context.WithCancel(context.Background())
	c := &crew{t: t, seed: p.rand.Uint64(), history: newHistory(t, p, round), stop: make(chan struct{}), ctx: ctx, quit: quit}
	for _, n := range nodes {
		c.nodes = append(c.nodes, endpoint{n.ID, n.Client()})
	}
	t.Cleanup(c.abandon)
	for i := range dataStreams {
		kind := "text"
		if i%3 == 2 {
			kind = "json"
		}
		s := &dataStream{name: fmt.Sprintf("%s/r%d-%d", kind, round, i)}
		if err := c.create(s.name, c.random(uint64(1000+i))); err != nil {
			t.Fatal(err)
		}
		c.streams = append(c.streams, s)
	}
	c.gap.Start()
	for i := range plainWriters {
		c.wait.Go(func() { c.writePlain(fmt.Sprintf("plain-%02d", i), c.streams[i%dataStreams], c.random(uint64(i))) })
	}
	for i := range makerWriters {
		c.wait.Go(func() {
			c.writeProduced(fmt.Sprintf("maker-%02d", i), c.streams[i%dataStreams], c.random(uint64(100+i)))
		})
	}
	for i := range catchUpCount {
		c.wait.Go(func() { c.catchUp(fmt.Sprintf("reader-%d", i), c.random(uint64(200+i))) })
	}
	for i := range ownersCount {
		o := &owner{crew: c, id: fmt.Sprintf("owner-%d", i), round: round, rand: c.random(uint64(300 + i))}
		c.owners = append(c.owners, o)
		c.wait.Go(o.run)
	}
	for i := range registerSets {
		c.wait.Go(func() { c.registers(fmt.Sprintf("reg/r%d-%d", round, i), uint64(400+100*i)) })
	}
	for i, n := range c.nodes {
		for j := range tailsPerNode {
			l := &tail{crew: c, id: fmt.Sprintf("tail-%s-%d", n.id, j), node: n, sse: j == 0, offset: "-1",
				stream: c.streams[(tailsPerNode*i+j)%dataStreams].name}
			c.tails = append(c.tails, l)
			c.live.Go(func() { l.run(ctx) })
		}
	}
	return c
}

func (c *crew) random(n uint64) *rand.Rand { return rand.New(rand.NewPCG(c.seed, n)) }

// any draws a node.
func (c *crew) any(r *rand.Rand) endpoint { return c.nodes[r.IntN(len(c.nodes))] }

// fail notes an answer that no valid request may get. The test sees it at its
// next look.
func (c *crew) fail(err error) { c.failed.CompareAndSwap(nil, &err) }

// broken is the first such answer.
func (c *crew) broken() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// stopped tells whether the load is to end.
func (c *crew) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return c.broken() != nil
	}
}

// rest waits a moment, less when the load is to end.
func (c *crew) rest(d time.Duration) {
	select {
	case <-c.stop:
	case <-time.After(d):
	}
}

// acknowledged counts a write that was acknowledged.
func (c *crew) acknowledged() {
	c.acked.Add(1)
	c.gap.Tick()
}

// create makes a stream, again and again until an answer comes.
func (c *crew) create(name string, r *rand.Rand) error {
	for end := time.Now().Add(ackWithin); ; time.Sleep(pauseOnError) {
		n := c.any(r)
		o := op{Client: "creator", Kind: opCreate, Stream: name, Node: n.id, Call: c.history.now()}
		a, err := n.client.Create(name, harness.Headers("Content-Type", contentType(name)), "")
		result, wrong := settle(a, err)
		o.Return, o.Result, o.Status, o.Next = c.history.now(), result, a.Status, a.Next()
		c.history.add(o)
		switch {
		case wrong != nil:
			return fmt.Errorf("create %s: %w", name, wrong)
		case result == resultOK:
			return nil
		case time.Now().After(end) || c.ctx.Err() != nil:
			return fmt.Errorf("create %s: not within %v: %s, %v", name, ackWithin, a, err)
		}
	}
}

// waitAcks waits for some more acknowledgements: faults are to meet a load that
// runs, and a healed cluster is to work.
func (c *crew) waitAcks(more int64) {
	c.t.Helper()
	want := c.acked.Load() + more
	harness.Eventually(c.t, healWithin, fmt.Sprintf("%d more acknowledgements", more), func() error {
		if err := c.broken(); err != nil {
			c.t.Fatalf("an answer that no valid request may get: %v", err)
		}
		if n := c.acked.Load(); n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	})
}

// finish lets the writers end and the live readers come to the tail of what is
// there now.
func (c *crew) finish() {
	c.t.Helper()
	close(c.stop)
	c.wait.Wait()
	if err := c.broken(); err != nil {
		c.t.Fatalf("an answer that no valid request may get: %v", err)
	}
	for _, l := range c.tails {
		harness.Eventually(c.t, tailsToTheEnd, fmt.Sprintf("%s comes to the tail of %s", l.id, l.stream), func() error {
			a, err := l.node.client.Head(l.stream, nil)
			switch {
			case c.broken() != nil:
				return nil // told below
			case err != nil || a.Status != http.StatusOK:
				return fmt.Errorf("HEAD: %s, %w", a, errors.Join(err, errors.New("no tail to be had")))
			case l.at() != a.Next():
				return fmt.Errorf("at %s of %s", l.at(), a.Next())
			}
			return nil
		})
	}
	c.abandon()
	if err := c.broken(); err != nil {
		c.t.Fatalf("an answer that no valid request may get: %v", err)
	}
}

// abandon ends all clients, whatever they are at.
func (c *crew) abandon() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.quit()
	c.live.Wait()
	c.wait.Wait()
	for _, n := range c.nodes {
		n.client.CloseIdle()
	}
}
