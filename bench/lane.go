package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// lane is the messages of one writer on one stream, numbered in the order in which
// they are sent. What was sent and not acknowledged is in doubt: it may be in the
// stream or not.
type lane struct {
	writer, stream int
	next           uint64
	acked          uint64
	doubt          map[uint64]bool
}

// retryPause is how long a writer waits after an append that failed.
const retryPause = 10 * time.Millisecond

// append sends one request and reports whether it was acknowledged.
func (t *trial) append(c *client, b *body, l *lane) bool {
	text := b.stamp(l.writer, l.next, time.Now().UnixNano())
	a, err := c.do("POST", t.stream(l.stream), "", "Content-Type: "+t.format.contentType()+"\r\n", text)
	n := uint64(len(b.starts))
	l.next += n
	switch {
	case err != nil:
		t.errors.add("append: " + kind(err))
	case a.status != 200 && a.status != 204:
		t.errors.add(fmt.Sprintf("append: status %d", a.status))
	default:
		l.acked += n
		return true
	}
	if l.doubt == nil {
		l.doubt = map[uint64]bool{}
	}
	for i := l.next - n; i < l.next; i++ {
		l.doubt[i] = true
	}
	time.Sleep(retryPause)
	return false
}

// lanes spreads writers over streams: each has streams of its own if there are
// enough, else they share.
func (t *trial) lanes(writers int) [][]*lane {
	all := make([][]*lane, writers)
	for w := range all {
		if t.Streams <= writers {
			all[w] = []*lane{{writer: w, stream: w % t.Streams}}
			continue
		}
		for s := w; s < t.Streams; s += writers {
			all[w] = append(all[w], &lane{writer: w, stream: s})
		}
	}
	return all
}

// ledger checks the messages of one stream against its lanes.
type ledger struct {
	lanes map[int]*lane
	seen  map[int][]uint64 // bits, by writer
	last  map[int]uint64   // the number after the last one seen, by writer
	check Check
	found uint64 // of those that were acknowledged
}

func newLedger(lanes []*lane) *ledger {
	g := &ledger{lanes: map[int]*lane{}, seen: map[int][]uint64{}, last: map[int]uint64{}}
	for _, l := range lanes {
		g.lanes[l.writer] = l
		g.seen[l.writer] = make([]uint64, l.next/64+1)
		g.check.Expected += l.acked
		g.check.InDoubt += uint64(len(l.doubt))
	}
	return g
}

func (g *ledger) enter(m message) {
	g.check.Got++
	l := g.lanes[m.writer]
	if l == nil || m.number >= l.next { // nobody has sent it
		g.check.Disordered++
		return
	}
	word, bit := &g.seen[m.writer][m.number/64], uint64(1)<<(m.number%64)
	if *word&bit != 0 {
		g.check.Doubled++
		return
	}
	*word |= bit
	if !l.doubt[m.number] {
		g.found++
	}
	if m.number < g.last[m.writer] {
		g.check.Disordered++
		return
	}
	g.last[m.writer] = m.number + 1
}

func (g *ledger) close() Check {
	g.check.Lost = g.check.Expected - min(g.found, g.check.Expected)
	return g.check
}

func (c *Check) add(other Check) {
	c.Expected += other.Expected
	c.Got += other.Got
	c.Lost += other.Lost
	c.Doubled += other.Doubled
	c.Disordered += other.Disordered
	c.InDoubt += other.InDoubt
}

// verify reads all streams from their start and compares them with what their
// writers know.
func (t *trial) verify(ctx context.Context, all [][]*lane) (*Check, error) {
	if t.Blind {
		return nil, nil
	}
	byStream := make([][]*lane, t.Streams)
	for _, lanes := range all {
		for _, l := range lanes {
			byStream[l.stream] = append(byStream[l.stream], l)
		}
	}
	checks := make([]Check, t.Streams)
	var done atomic.Int64
	const readers = 2
	err := t.share(ctx, t.Streams, readers, func(c *client, i int) error {
		g := newLedger(byStream[i])
		_, err := t.readAll(c, t.stream(i), g.enter)
		checks[i] = g.close()
		t.Progress("verify", float64(done.Add(1))/float64(t.Streams))
		return err
	})
	var total Check
	for _, c := range checks {
		total.add(c)
	}
	return &total, err
}
