package cluster

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Writers that send the next command soon after the last was answered share
// entries, instead of parting into groups that take turns.
func TestWritersThatComeBackShareEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers, turns = 16, 50
		l := &slowLog{took: 2 * time.Millisecond}
		r := &rounds{maxBytes: 1 << 20, inFlightMax: func() int { return 2 }, propose: l.propose, slots: 2}
		var wg sync.WaitGroup
		for w := range writers {
			think := rand.New(rand.NewPCG(1, uint64(w)))
			wg.Go(func() {
				for i := range turns {
					time.Sleep(time.Duration(50+think.IntN(250)) * time.Microsecond)
					if _, err := r.do(touch(fmt.Sprintf("%d-%d", w, i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := len(l.entries); got > turns+turns/5 {
			t.Fatalf("%d entries for %d turns of %d writers: they do not ride together", got, turns, writers)
		}
	})
}

// Commands that come at moments of their own are held back seldom, and never for
// longer than gatherTime.
func TestWhoDoesNotComeBackIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const took = 2 * time.Millisecond
		l := &slowLog{took: took}
		r := &rounds{maxBytes: 1 << 20, inFlightMax: func() int { return 2 }, propose: l.propose, slots: 2}
		var wg sync.WaitGroup
		for i := range 32 { // a crowd that comes once
			wg.Go(func() { r.do(touch(fmt.Sprint(i))) })
		}
		wg.Wait()
		var held, longest time.Duration
		for i := range 200 {
			begin := time.Now()
			r.do(touch(fmt.Sprint("one", i)))
			over := time.Since(begin) - took
			held, longest = held+over, max(longest, over)
		}
		if longest > gatherTime || held > 3*gatherTime {
			t.Fatalf("held back for %v in all, for %v once", held, longest)
		}
	})
}

// A full entry has room for nobody, so nobody is waited for.
func TestAFullRoundGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := len(touch("0"))
		r := &rounds{maxBytes: 8 * size, bytes: 8 * size, commands: 8}
		r.gather.crowd = 32
		r.mu.Lock()
		begin := time.Now()
		r.gather.await(&r.mu, r.present, 0)
		r.mu.Unlock()
		if took := time.Since(begin); took != 0 {
			t.Fatalf("waited for %v", took)
		}
	})
}

// The proposer holds a batch back likewise; not for a node that is leaving, nor for
// callers for whom there is no room.
func TestABatchIsHeldBackForThoseWhoFit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*proposer)
		want   time.Duration
	}{
		"some are missing":        {func(*proposer) {}, gatherTime},
		"leaving":                 {func(p *proposer) { p.closing = true }, 0},
		"others wait for room":    {func(p *proposer) { p.waiting = 1 }, 0},
		"one that travels alone":  {func(p *proposer) { p.alone = []*batch{newBatch(0)} }, 0},
		"all are there":           {func(p *proposer) { p.open.commands = 12 }, 0},
		"as many as pay together": {func(p *proposer) { p.gather.crowd, p.open.commands = 500, gatherMost }, 0},
		"another is under way":    {func(p *proposer) { p.riding = 1 }, 0},
		"few":                     {func(p *proposer) { p.gather.crowd = gatherLeast - 1 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &proposer{}
				p.init()
				p.gather.crowd, p.open.commands = 12, 1
				c.change(p)
				p.mu.Lock()
				begin := time.Now()
				p.gather.await(&p.mu, p.present, p.riding)
				p.mu.Unlock()
				if took := time.Since(begin); took != c.want {
					t.Fatalf("held back for %v, want %v", took, c.want)
				}
			})
		})
	}
}

// One large command is one, and no crowd for which the next batch would wait.
func TestALargeCommandIsNoCrowd(t *testing.T) {
	p := &proposer{alone: []*batch{newBatch(0)}}
	p.init()
	p.mu.Lock()
	p.gather.await(&p.mu, p.present, p.riding)
	p.mu.Unlock()
	if p.gather.crowd != 1 {
		t.Fatalf("it counts as %d", p.gather.crowd)
	}
}
