package scrub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"mainstem/scrub"
	"mainstem/storage"
	"mainstem/stream"
)

const (
	valueBytes = 1 << 10
	streams    = 128
	rate       = 4 << 10
	part       = 16 << 10
	interval   = time.Hour
)

// group is nodes that apply the same without a log: an index is a number that
// grows.
type group struct {
	t       *testing.T
	index   uint64
	nodes   []*node
	mu      sync.Mutex // guards marks and index
	marks   []stream.Mark
	marksAt []time.Time
}

type node struct {
	id      string
	engine  *storage.Engine
	scrub   *scrub.Scrubber
	health  *scrub.Quarantine
	metrics *prometheus.Registry
	away    bool
}

func newGroup(t *testing.T, ids ...string) *group {
	g := &group{t: t}
	for _, id := range ids {
		n := &node{id: id, metrics: prometheus.NewRegistry()}
		var err error
		n.engine, err = storage.Open(storage.Config{Dir: "copy", FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		n.health = scrub.NewQuarantine(scrub.QuarantineConfig{Save: func(storage.Damage) error { return nil }})
		n.scrub, err = scrub.New(scrub.Config{
			NodeID: id, BytesPerSecond: rate, RangeBytes: part, Interval: interval,
			Quarantine: n.health, Metrics: n.metrics,
		})
		if err != nil {
			t.Fatal(err)
		}
		g.nodes = append(g.nodes, n)
	}
	for i := range streams {
		g.put(fmt.Sprintf("stream-%03d", i), strings.Repeat("x", valueBytes), g.nodes...)
	}
	return g
}

// put writes a stream on some of the nodes.
func (g *group) put(name, value string, nodes ...*node) {
	g.t.Helper()
	g.index++
	for _, n := range nodes {
		b := n.engine.NewBatch()
		b.PutStream(stream.Name(name), []byte(value))
		if err := n.engine.Commit(b, storage.Globals{Applied: g.index, Term: 1}); err != nil {
			g.t.Fatal(err)
		}
	}
}

func (g *group) submit(_ context.Context, c stream.Command) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.index++
	g.marks, g.marksAt = append(g.marks, c.(stream.Mark)), append(g.marksAt, time.Now())
	for _, n := range g.nodes {
		if n.away {
			continue
		}
		v, err := n.engine.View()
		if err != nil {
			return err
		}
		n.scrub.Marked(g.index, c.(stream.Mark), v)
	}
	return nil
}

func (g *group) members() (members []scrub.Member) {
	for _, n := range g.nodes {
		members = append(members, scrub.Member{ID: n.id, Voter: true, Reachable: !n.away, Note: n.scrub.Note()})
	}
	return members
}

// run lets the first node lead for a while.
func (g *group) run(d time.Duration) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), d)
	defer cancel()
	var wait sync.WaitGroup
	for _, n := range g.nodes {
		wait.Go(func() { _ = n.scrub.Run(ctx, g.members) })
	}
	wait.Go(func() { g.nodes[0].scrub.Lead(ctx, g.members, g.submit) })
	wait.Wait()
}

func (g *group) close() {
	g.t.Helper()
	for _, n := range g.nodes {
		if err := errors.Join(n.scrub.Close(), n.engine.Close()); err != nil { // which waits for every view
			g.t.Fatal(err)
		}
	}
}

// count reads a counter; labels are part of the name's line.
func (n *node) count(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestAPassComparesAllPartsAtItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "a", "b", "c")
		defer g.close()
		g.run(interval)
		parts := streams * valueBytes / part
		if len(g.marks) < parts || len(g.marks) > parts+1 {
			t.Fatalf("%d marks; a pass has about %d", len(g.marks), parts)
		}
		if g.marks[0].From != "" || g.marks[1].From == "" || g.marks[1].From >= g.marks[2].From {
			t.Fatalf("the parts do not follow each other: %+v", g.marks)
		}
		took := g.marksAt[len(g.marks)-1].Sub(g.marksAt[0])
		if least := time.Duration(len(g.marks)-2) * part / rate * time.Second; took < least {
			t.Fatalf("a pass took %v, and at its rate %v at least", took, least)
		}
		for _, n := range g.nodes {
			if n.health.Damage() != "" || n.count(t, "mainstem_scrub_ranges_total", "equal") != float64(len(g.marks)) {
				t.Fatalf("%s: damage %q, %v parts equal of %d", n.id, n.health.Damage(), n.count(t, "mainstem_scrub_ranges_total", "equal"), len(g.marks))
			}
			if n.count(t, "mainstem_scrub_mismatch_total", "") != 0 {
				t.Fatalf("%s saw a mismatch", n.id)
			}
		}
	})
}

func TestPassesFollowEachOtherByTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "a", "b", "c")
		defer g.close()
		g.run(5 * interval)
		var begun []time.Time
		for i, m := range g.marks {
			if m.From == "" {
				begun = append(begun, g.marksAt[i])
			}
		}
		if len(begun) != 5 {
			t.Fatalf("%d passes in five intervals", len(begun))
		}
		for i := range begun[1:] {
			if d := begun[i+1].Sub(begun[i]); d < interval || d > interval+time.Minute {
				t.Fatalf("pass %d begins %v after the one before", i+1, d)
			}
		}
	})
}

func TestTheOddOneOutIsFoundWithinAPass(t *testing.T) {
	for _, who := range []int{0, 2} { // who leads, and another
		synctest.Test(t, func(t *testing.T) {
			g := newGroup(t, "a", "b", "c")
			defer g.close()
			g.put("stream-031", "altered", g.nodes[who])
			g.run(interval)
			for i, n := range g.nodes {
				if (n.health.Damage() != "") != (i == who) {
					t.Fatalf("%s: damage %q, and %s is odd", n.id, n.health.Damage(), g.nodes[who].id)
				}
				if n.count(t, "mainstem_scrub_mismatch_total", "") == 0 {
					t.Fatalf("%s saw no mismatch", n.id)
				}
			}
			if what := g.nodes[who].health.Damage(); !strings.Contains(what, "differs from that of a majority") {
				t.Fatalf("damage %q", what)
			}
		})
	}
}

func TestWithoutAMajorityThereIsOnlyAnAlarm(t *testing.T) {
	for name, prepare := range map[string]func(g *group){
		"two nodes":            func(g *group) { g.nodes = g.nodes[:2] },
		"a third that is away": func(g *group) { g.nodes[2].away = true },
		"all differ":           func(g *group) { g.put("stream-003", "altered too", g.nodes[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(t, "a", "b", "c")
				defer func(all []*node) { g.nodes = all; g.close() }(g.nodes)
				g.put("stream-003", "altered", g.nodes[1]) // of the first of many parts
				prepare(g)
				g.run(interval)
				for _, n := range g.nodes {
					if n.health.Damage() != "" {
						t.Fatalf("%s was taken out: %s", n.id, n.health.Damage())
					}
					if !n.away && n.count(t, "mainstem_scrub_mismatch_total", "") == 0 {
						t.Fatalf("%s raised no alarm", n.id)
					}
				}
			})
		})
	}
}

// Damage of a file is found although nobody reads what is in it.
func TestFilesAreCheckedOnEachNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checked := 0
		health := scrub.NewQuarantine(scrub.QuarantineConfig{Save: func(storage.Damage) error { return nil }})
		var broken atomic.Pointer[error]
		s, err := scrub.New(scrub.Config{NodeID: "a", Quarantine: health, Stores: []scrub.Store{
			{Name: "first", Verify: func(ctx context.Context, pace storage.Pace) error { checked++; return pace(ctx, 5<<20) }},
			{Name: "busy", Verify: func(context.Context, storage.Pace) error { return errors.New("too many open files") }},
			{Name: "last", Verify: func(context.Context, storage.Pace) error {
				if err := broken.Load(); err != nil {
					return *err
				}
				return nil
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		time.AfterFunc(90*time.Minute, func() {
			err := fmt.Errorf("%w: 000012.sst", storage.ErrCorrupt)
			broken.Store(&err)
		})
		if err := s.Run(ctx, func() []scrub.Member { return nil }); err != nil {
			t.Fatal(err)
		}
		if checked != 2 || health.Damage() != "" {
			t.Fatalf("checked %d times in two hours, damage %q", checked, health.Damage())
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.Run(ctx, func() []scrub.Member { return nil }); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(health.Damage(), "000012.sst") {
			t.Fatalf("damage %q", health.Damage())
		}
	})
}

// A node that is slow, or replays its log, holds one view at a time.
func TestOnlyTheNewestMarkIsDigested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "a")
		defer g.close()
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _ = g.nodes[0].scrub.Run(ctx, g.members) })
		for range 20 {
			if err := g.submit(ctx, stream.Mark{Bytes: 64 << 10}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // a digest takes sixteen
		}
		time.Sleep(time.Minute)
		note := string(g.nodes[0].scrub.Note())
		if want := fmt.Sprintf(`"index":%d,`, g.index); strings.Count(note, "index") != 1 || !strings.Contains(note, want) {
			t.Fatalf("note %s; want one result, with %s", note, want)
		}
		cancel()
		wait.Wait()
	})
}
