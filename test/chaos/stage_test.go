package chaos

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	acksBetween  = 60 // acknowledgements wanted after each fault before the next
	collectors   = 4
	collectPause = 20 * time.Millisecond
)

// clientArgs make live readers come again often enough to be tested in it.
var clientArgs = []string{"--long-poll-timeout", "2s", "--sse-reconnect-interval", "5s", "--sse-keep-alive", "1s"}

// tightArgs make a node take snapshots, cut its log and flush its tables every
// few seconds, so that faults meet that too.
var tightArgs = []string{"--raft-snapshot-interval", "1s", "--raft-snapshot-threshold", "64", "--raft-trailing-logs", "64", "--mem-table-bytes", "1MiB"}

// stage is one cluster that is broken round after round. Each round has its own
// streams and its own history, judged when the cluster is whole again.
type stage struct {
	t       *testing.T
	plan    plan
	cluster *harness.Cluster
	faults  map[string]int
	verdict verdict
	longest time.Duration
	began   time.Time
	open    *crew // of a round that has not been judged

	outcomes map[string]int // what became of faults that may have no effect; for the log
}

// newStage takes a cluster whose nodes run and tells at the end of the test what
// was done to it.
func newStage(t *testing.T, p plan, cluster *harness.Cluster) *stage {
	s := &stage{t: t, plan: p, cluster: cluster, faults: map[string]int{}, began: time.Now()}
	t.Cleanup(s.tell)
	return s
}

// fault counts one.
func (s *stage) fault(kind string) { s.faults[kind]++ }

// away records from when to when nodes were away; it is called as they go, and
// what it returns when they are back.
func (s *stage) away(nodes ...*harness.Node) (back func()) {
	o := op{Client: "judge", Kind: opFault, Call: s.open.history.now(), Result: resultOK}
	if len(nodes) == 1 {
		o.Node = nodes[0].ID
	}
	return func() {
		o.Return = s.open.history.now()
		s.open.history.add(o)
	}
}

// round runs the load while work breaks things and mends them again, and then
// judges what the clients saw.
func (s *stage) round(n int, work func(*crew)) {
	s.t.Helper()
	c := startCrew(s.t, s.plan, n, s.cluster.Nodes)
	s.open = c
	c.waitAcks(acksBetween)
	work(c)
	s.cluster.WaitReady()
	c.waitAcks(acksBetween)
	c.finish()
	s.longest = max(s.longest, c.gap.Longest())
	sum := s.cluster.WaitEqual()
	c.collect(s.t)
	v := judge(c.history.all())
	s.verdict.add(v)
	s.open = nil
	if err := v.err(); err != nil {
		s.t.Fatalf("round %d: %v", n, err)
	}
	c.history.end(s.t) // found good: not kept, whatever comes
	s.t.Logf("round %d: %s; longest unavailability %v; copies equal at applied %d", n, v, c.gap.Longest(), sum.Applied)
}

// tell prints what the whole test did.
func (s *stage) tell() {
	result := "PASS"
	if s.t.Failed() {
		result = "FAIL"
	}
	if s.open != nil { // broken off: counted, not judged
		v := newVerdict()
		for _, o := range s.open.history.all() {
			v.count(o)
		}
		s.verdict.add(v)
		s.longest = max(s.longest, s.open.gap.Longest())
	}
	s.t.Logf("%s, seed %d, in %v: %s", result, s.plan.seed, time.Since(s.began).Round(time.Second), s.verdict)
	s.t.Logf("faults: %s; longest unavailability %v", counts(s.faults), s.longest.Round(time.Millisecond))
	total.Lock()
	defer total.Unlock()
	total.verdict.add(&s.verdict)
	total.longest = max(total.longest, s.longest)
	for kind, n := range s.faults {
		total.faults[kind] += n
	}
}

// collect records what each node answers of each stream in the end, at the
// default level and from its own copy.
func (c *crew) collect(t *testing.T) {
	t.Helper()
	names := map[string]bool{}
	for _, o := range c.history.all() {
		if o.Kind == opCreate || o.Kind == opFork {
			names[o.Stream] = true
		}
	}
	work := make(chan string)
	var wait sync.WaitGroup
	var once sync.Once
	var failed error
	for range collectors {
		wait.Go(func() {
			for name := range work {
				if err := c.collectOne(name); err != nil {
					once.Do(func() { failed = err })
				}
			}
		})
	}
	for _, name := range sortedKeys(names) {
		work <- name
	}
	close(work)
	wait.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
}

func (c *crew) collectOne(name string) error {
	for i, n := range c.nodes {
		for _, h := range []http.Header{nil, harness.LocalReads()} {
			o := op{Client: "judge", Kind: opFinal, Stream: name, Node: n.id, Call: c.history.now(), Result: resultOK, UpToDate: true}
			content, status, err := readWhole(n.client, name, h)
			if err != nil {
				return fmt.Errorf("read %s at %s in the end: %w", name, n.id, err)
			}
			o.Return, o.Status = c.history.now(), status
			o.setRead(content.wire, content.next, true, content.closed)
			if i == 0 && h == nil {
				o.Body = content.wire
			}
			c.history.add(o)
		}
	}
	return nil
}

// whole is a stream as one node holds it.
type whole struct {
	wire   string
	next   string
	closed bool
}

// readWhole reads a stream from its start. What is not there has a status and no
// content.
func readWhole(client *harness.Client, name string, h http.Header) (whole, int, error) {
	for end := time.Now().Add(healWithin); ; time.Sleep(collectPause) {
		a, err := client.Read(name, "-1", h)
		switch {
		case err == nil && (a.Status == http.StatusNotFound || a.Status == http.StatusGone):
			return whole{}, a.Status, nil
		case err == nil && a.Status == http.StatusOK:
			content, err := client.ReadAll(name, "-1", h)
			if err == nil {
				w := whole{next: content.Next, closed: content.Closed}
				for _, chunk := range content.Chunks {
					w.wire += wire(chunk, isJSON(name))
				}
				return w, http.StatusOK, nil
			}
			if time.Now().After(end) {
				return whole{}, 0, err
			}
		case time.Now().After(end):
			return whole{}, 0, fmt.Errorf("%s, %w", a, err)
		}
	}
}
