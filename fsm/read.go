package fsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"mainstem/storage"
	"mainstem/stream"
)

// Info returns what the copy knows of a stream; ok is false when it has none.
func (m *Machine) Info(name stream.Name) (info stream.Info, ok bool, err error) {
	s, err := m.heads.get(name)
	if err != nil || s == nil {
		return stream.Info{}, false, err
	}
	return s.Info(), true, nil
}

// Read returns what follows from, up to about limit bytes: a chunk ends with an
// append, and an append that alone is longer than limit is returned whole. A
// *stream.Rejection says what this copy, which may be behind, has to object.
// The chunk's bytes are the caller's to keep but not to write.
func (m *Machine) Read(name stream.Name, from stream.From, limit int) (stream.Chunk, error) {
	s, err := m.heads.get(name)
	if err != nil {
		return stream.Chunk{}, err
	}
	for {
		chunk, err := m.readState(s, from, limit)
		if err == nil || !isMissing(err) {
			return chunk, err
		}
		// The stream was deleted while it was read, and its data with it. The copy
		// is asked, not the heads: they learn of a commit after it.
		now, stateErr := read(m.engine, name)
		if stateErr != nil || now != nil && now.Incarnation == s.Incarnation && !now.Deleted {
			return stream.Chunk{}, errors.Join(fmt.Errorf("read %q: %w", name, err), stateErr)
		}
		s = now
	}
}

func (m *Machine) readState(s *stream.State, from stream.From, limit int) (stream.Chunk, error) {
	switch {
	case s == nil:
		return stream.Chunk{}, &stream.Rejection{Code: stream.NotFound}
	case s.Deleted:
		return stream.Chunk{}, &stream.Rejection{Code: stream.Gone}
	}
	pos, err := begin(s, from)
	if err != nil {
		return stream.Chunk{}, err
	}
	chunk := stream.Chunk{Info: s.Info(), From: s.OffsetAt(pos)}
	g := gatherer{state: s, pos: pos, limit: limit}
	if err := g.run(m.engine); err != nil {
		return stream.Chunk{}, err
	}
	chunk.Body, chunk.Next = g.body, s.OffsetAt(g.pos)
	return chunk, nil
}

// begin turns a wish into a position.
func begin(s *stream.State, from stream.From) (uint64, error) {
	if from.Now() {
		return s.Pos, nil
	}
	o, named := from.Offset()
	if !named {
		return 0, nil
	}
	pos, at := s.Locate(o)
	switch at {
	case stream.Here:
		return pos, nil
	case stream.Earlier:
		return 0, &stream.Rejection{Code: stream.Gone,
			Detail: "the offset belongs to an earlier stream at this path, which was deleted; read from -1"}
	case stream.Beyond, stream.Newer:
		return 0, &stream.Rejection{Code: stream.BadOffset,
			Detail: "the offset lies beyond the tail of the stream; read from a Stream-Next-Offset that this stream returned"}
	}
	return 0, &stream.Rejection{Code: stream.BadOffset}
}

// gatherer collects the body of one chunk.
type gatherer struct {
	state *stream.State
	pos   uint64
	limit int
	body  [][]byte
	err   error
}

func (g *gatherer) run(engine *storage.Engine) error {
	for more := true; more && g.pos < g.state.Pos; {
		before := g.pos
		owner, end := g.state.Owner(g.pos)
		err := engine.Records(owner, g.pos, func(start uint64, value []byte) bool {
			more = g.take(start, end, value)
			return more && g.pos < end
		})
		if g.err != nil {
			return g.err
		}
		if err != nil {
			return fmt.Errorf("read incarnation %d at %d: %w", owner, g.pos, err)
		}
		if more && g.pos == before {
			return &missing{owner, g.pos}
		}
	}
	return nil
}

// take adds what a record has to give and reports whether there is room left.
func (g *gatherer) take(start, end uint64, value []byte) bool {
	r, err := stream.ParseRecord(start, value)
	if err != nil {
		g.err = fmt.Errorf("record at %d: %w", start, err)
		return false
	}
	switch {
	case r.End() <= g.pos:
		return true
	case start > g.pos:
		g.err = &missing{g.state.Incarnation, g.pos}
		return false
	case start < g.pos && !r.EndsAt(g.pos):
		g.err = &stream.Rejection{Code: stream.BadOffset}
		return false
	}
	cut := min(r.Cut(g.pos, g.limit), end)
	if n := int(cut - g.pos); n > g.limit && len(g.body) > 0 {
		return false
	}
	g.body = append(g.body, bytes.Clone(r.Slice(g.pos, cut)))
	g.limit -= int(cut - g.pos)
	g.pos = cut
	return g.limit > 0 && cut == min(r.End(), end)
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

// Wait returns when a read at an offset would give something else than nothing
// from an open stream: data, its end, or its absence. Otherwise it returns
// ctx's cause.
func (m *Machine) Wait(ctx context.Context, name stream.Name, at stream.Offset) error {
	for {
		bell := m.heads.listen(name)
		ready, err := m.moved(name, at)
		if err != nil || ready {
			m.heads.leave(name, bell)
			return err
		}
		select {
		case <-bell.rung:
		case <-ctx.Done():
			m.heads.leave(name, bell)
			return context.Cause(ctx)
		}
	}
}

func (m *Machine) moved(name stream.Name, at stream.Offset) (bool, error) {
	s, err := m.heads.get(name)
	if err != nil {
		return false, err
	}
	return s == nil || s.Deleted || s.Closed || s.Tail() != at, nil
}
