package fsm

import "mainstem/stream"

// EachEnd visits the ends of the appends in a chunk that was read, in order; the
// last is the chunk's own. They are looked up once more, so that reads without
// this pay nothing. A *stream.Rejection says that the stream, or this part of it,
// has gone since the read.
func (m *Machine) EachEnd(name stream.Name, chunk *stream.Chunk, visit func(stream.Offset)) error {
	v, err := m.heads.look(name)
	if err != nil {
		return m.noticed(err)
	}
	return m.noticed(m.eachEnd(name, v, chunk, visit))
}

func (m *Machine) eachEnd(name stream.Name, v view, chunk *stream.Chunk, visit func(stream.Offset)) error {
	for from := chunk.From; ; {
		s := v.state
		if err := readable(s); err != nil {
			return err
		}
		if s.Incarnation != chunk.Incarnation {
			return &stream.Rejection{Code: stream.Gone, Detail: "the stream was deleted while it was read, and there is another one at this path now; read from -1"}
		}
		pos, err := begin(s, stream.FromOffset(from))
		if err != nil || pos >= chunk.Next.Pos {
			return err
		}
		g := gatherer{state: s, pieces: v.pieces, pos: pos, limit: int(chunk.Next.Pos - pos), visit: func(end uint64) {
			from = s.OffsetAt(end) // where to go on if the rest is missing
			visit(from)
		}}
		if err = g.run(m.engine); err == nil || !isMissing(err) {
			return err
		}
		if v, err = m.again(name, v, err); err != nil {
			return err
		}
	}
}
