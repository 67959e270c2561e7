package fsm

import (
	"errors"
	"fmt"

	"mainstem/storage"
	"mainstem/stream"
)

// Info returns what the copy knows of a stream; ok is false when it has none.
func (m *Machine) Info(name stream.Name) (info stream.Info, ok bool, err error) {
	s, err := m.heads.get(name)
	if err != nil || s == nil {
		return stream.Info{}, false, m.noticed(err)
	}
	return s.Info(), true, nil
}

// List visits the streams whose names begin with prefix and come after after, in
// the order of their names, until visit returns false.
func (m *Machine) List(prefix string, after stream.Name, visit func(stream.Name, *stream.State) bool) error {
	return m.noticed(m.engine.EachStream(prefix, string(after), visit))
}

// Read returns what follows from, up to about limit bytes: a chunk ends with an
// append, and an append that alone is longer than limit is returned whole. A
// *stream.Rejection says what this copy, which may be behind, has to object.
// The chunk's bytes are the caller's to keep, but not to write.
func (m *Machine) Read(name stream.Name, from stream.From, limit int) (stream.Chunk, error) {
	v, err := m.heads.look(name)
	if err != nil {
		return stream.Chunk{}, m.noticed(err)
	}
	chunk, err := m.readView(name, v, from, limit)
	return chunk, m.noticed(err)
}

// Follow is for a reader that stays with a stream. Until it calls leave, look is
// Read, with the newest data from memory, and a bell that is closed by the
// stream's next change after the look: data, its end, its absence, or something
// that it does not see. leave is called once, and look not after it.
func (m *Machine) Follow(name stream.Name) (look func(from stream.From, limit int) (chunk stream.Chunk, bell <-chan struct{}, err error), leave func()) {
	m.heads.follow(name)
	look = func(from stream.From, limit int) (stream.Chunk, <-chan struct{}, error) {
		v, err := m.heads.look(name)
		if err != nil {
			return stream.Chunk{}, nil, m.noticed(err)
		}
		chunk, err := m.readView(name, v, from, limit)
		return chunk, v.bell, m.noticed(err)
	}
	return look, func() { m.heads.unfollow(name) }
}

func (m *Machine) readView(name stream.Name, v view, from stream.From, limit int) (stream.Chunk, error) {
	for {
		chunk, err := m.readState(&v, from, limit)
		if err == nil || !isMissing(err) {
			return chunk, err
		}
		if v, err = m.again(name, v, err); err != nil {
			return stream.Chunk{}, err
		}
	}
}

// again returns what there is of a stream of which data was missing: it was deleted
// or trimmed while it was read, and its data with it. The copy is asked, not the
// heads: they learn of a commit after it.
func (m *Machine) again(name stream.Name, v view, missing error) (view, error) {
	now, err := m.engine.Stream(name)
	trimmed := now != nil && now.Incarnation == v.state.Incarnation && now.Horizon > v.state.Horizon
	if err != nil || now != nil && now.Incarnation == v.state.Incarnation && !now.Deleted && !trimmed {
		return view{}, errors.Join(fmt.Errorf("%w: read %q: %w", storage.ErrCorrupt, name, missing), err)
	}
	return view{state: now}, nil
}

// readable refuses what is not there for readers.
func readable(s *stream.State) error {
	switch {
	case s == nil:
		return &stream.Rejection{Code: stream.NotFound}
	case s.Deleted:
		return &stream.Rejection{Code: stream.Gone}
	}
	return nil
}

func (m *Machine) readState(v *view, from stream.From, limit int) (stream.Chunk, error) {
	s := v.state
	if err := readable(s); err != nil {
		return stream.Chunk{}, err
	}
	pos, err := begin(s, from)
	if err != nil {
		return stream.Chunk{}, err
	}
	chunk := stream.Chunk{Info: s.Info(), From: s.OffsetAt(pos)}
	if pos == s.Pos {
		chunk.Next = chunk.From
		return chunk, nil
	}
	if p := v.latest(pos, limit); p != nil {
		chunk.Body, chunk.Next, chunk.Memo = p.body, chunk.Tail, &p.memo
		return chunk, nil
	}
	return m.gatherKept(v, chunk, pos, limit)
}

// latest returns the piece that is all that follows pos, which is what those who
// keep up with a stream read.
func (v *view) latest(pos uint64, limit int) *piece {
	if len(v.pieces) == 0 {
		return nil
	}
	p := v.pieces[len(v.pieces)-1]
	if p.incarnation != v.state.Incarnation || p.record.Start != pos || p.record.End() != v.state.Pos || len(p.record.Data) > limit {
		return nil
	}
	return p
}

// gather completes chunk, which begins at pos.
func (m *Machine) gather(v *view, chunk stream.Chunk, pos uint64, limit int) (stream.Chunk, error) {
	s := v.state
	g := gatherer{state: s, pieces: v.pieces, pool: &m.buffers, pos: pos, limit: limit}
	if err := g.run(m.engine); err != nil {
		g.free()
		return stream.Chunk{}, err
	}
	chunk.Body, chunk.Next = g.body, s.OffsetAt(g.pos)
	if g.pooled != nil {
		chunk.Free = g.free
	}
	return chunk, nil
}

// begin turns a wish into a position.
func begin(s *stream.State, from stream.From) (uint64, error) {
	if from.Now() {
		return s.Pos, nil
	}
	o, named := from.Offset()
	if !named {
		return s.Horizon, nil
	}
	pos, at := s.Locate(o)
	switch at {
	case stream.Here:
		if no := s.CheckKept(pos); no != nil {
			return 0, no
		}
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
