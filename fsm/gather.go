package fsm

import (
	"bytes"
	"fmt"
	"sync"

	"mainstem/storage"
	"mainstem/stream"
)

// pooledBytes is the least body that is copied into a buffer used again.
const pooledBytes = 64 << 10

// gatherer collects the body of one chunk: from memory what the pieces hold,
// from the copy the rest.
type gatherer struct {
	state  *stream.State
	pieces []*piece
	pool   *sync.Pool // of *[]byte
	pos    uint64
	limit  int
	body   [][]byte         // of whole appends each
	visit  func(end uint64) // wants the ends of appends instead of the body
	err    error

	buffer []byte  // what is read from the copy, in one run
	open   bool    // the last of body is the end of buffer
	pooled *[]byte // where buffer came from; nil for a small one
}

func (g *gatherer) run(engine *storage.Engine) error {
	for more := true; more && g.pos < g.state.Pos; {
		before := g.pos
		owner, end := g.state.Owner(g.pos)
		if i, ok := find(g.pieces, owner, g.pos); ok {
			more = g.recall(g.pieces[i:], end)
		} else {
			err := engine.Records(owner, g.pos, func(start uint64, value []byte) bool {
				more = g.parse(start, end, value)
				return more && g.pos < end
			})
			if err != nil {
				return fmt.Errorf("read incarnation %d at %d: %w", owner, g.pos, err)
			}
		}
		if g.err != nil {
			return g.err
		}
		if more && g.pos == before {
			return &missing{owner, g.pos}
		}
	}
	return nil
}

// recall takes what adjacent pieces have to give, without a copy.
func (g *gatherer) recall(pieces []*piece, end uint64) (more bool) {
	g.open = false
	for _, p := range pieces {
		cut, ok := g.cut(&p.record, end)
		if !ok {
			return false
		}
		if g.visit != nil {
			g.mark(&p.record, cut)
		} else {
			g.body = append(g.body, p.record.Slice(g.pos, cut))
		}
		if !g.advance(&p.record, cut, end) {
			return false
		}
	}
	return true
}

// parse takes what a stored record has to give and reports whether there is room
// left.
func (g *gatherer) parse(start, end uint64, value []byte) (more bool) {
	r, err := stream.ParseRecord(start, value)
	if err != nil {
		g.err = fmt.Errorf("%w: record at %d: %w", storage.ErrCorrupt, start, err)
		return false
	}
	if r.End() <= g.pos {
		return true
	}
	cut, ok := g.cut(&r, end)
	if !ok {
		return false
	}
	if g.visit != nil {
		g.mark(&r, cut)
	} else {
		g.add(r.Slice(g.pos, cut))
	}
	return g.advance(&r, cut, end)
}

// cut returns up to where a record belongs to the chunk; ok is false when it
// does not, or cannot.
func (g *gatherer) cut(r *stream.Record, end uint64) (cut uint64, ok bool) {
	switch {
	case r.Start > g.pos:
		g.err = &missing{g.state.Incarnation, g.pos}
		return 0, false
	case r.Start < g.pos && !r.EndsAt(g.pos):
		g.err = &stream.Rejection{Code: stream.BadOffset}
		return 0, false
	}
	cut = min(r.Cut(g.pos, g.limit), end)
	return cut, int(cut-g.pos) <= g.limit || len(g.body) == 0
}

// mark tells where the appends up to cut end.
func (g *gatherer) mark(r *stream.Record, cut uint64) {
	r.Each(func(_, end uint64, _ stream.Time) bool {
		if end > g.pos && end <= cut {
			g.visit(end)
		}
		return end < cut
	})
}

func (g *gatherer) advance(r *stream.Record, cut, end uint64) (more bool) {
	g.limit -= int(cut - g.pos)
	g.pos = cut
	return g.limit > 0 && cut == min(r.End(), end)
}

// add copies b, which is valid for a moment only, behind what was copied before.
func (g *gatherer) add(b []byte) {
	if g.buffer == nil {
		g.makeRoom()
	}
	at := len(g.buffer)
	if cap(g.buffer)-at < len(b) { // an append longer than the limit
		g.body, g.open = append(g.body, bytes.Clone(b)), false
		return
	}
	g.buffer = append(g.buffer, b...)
	if last := len(g.body) - 1; g.open {
		g.body[last] = g.buffer[at-len(g.body[last]) : len(g.buffer)]
		return
	}
	g.body, g.open = append(g.body, g.buffer[at:]), true
}

// makeRoom makes a buffer for all that the chunk can hold.
func (g *gatherer) makeRoom() {
	n := min(g.state.Pos-g.pos, uint64(max(g.limit, 0)))
	if n < pooledBytes {
		g.buffer = make([]byte, 0, n)
		return
	}
	b, _ := g.pool.Get().(*[]byte)
	if b == nil || uint64(cap(*b)) < n {
		b = new([]byte)
		*b = make([]byte, 0, n)
	}
	g.pooled, g.buffer = b, (*b)[:0]
}

// free gives the buffer back.
func (g *gatherer) free() {
	if g.pooled != nil {
		g.pool.Put(g.pooled)
		g.pooled = nil
	}
}

// missing is data that a state names and the copy does not hold.
type missing struct{ incarnation, pos uint64 }

func (e *missing) Error() string {
	return fmt.Sprintf("no data of incarnation %d at %d", e.incarnation, e.pos)
}

func isMissing(err error) bool {
	_, ok := err.(*missing)
	return ok
}
