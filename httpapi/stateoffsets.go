package httpapi

import (
	"fmt"

	"mainstem/stream"
)

// showOffsets makes the chunk of a reader show, in the events of the State Protocol
// that are in it, where the append of each ends, if the node is set to do so. Only
// the body changes, and only in this answer. The chunk's memo must not hold a frame
// of it already. made tells that the body is another one now, for this reader alone.
func (s *Server) showOffsets(name stream.Name, chunk *stream.Chunk) (made bool, err error) {
	if !s.cfg.StateOffsets || len(chunk.Body) == 0 || !chunk.ContentType.JSON() {
		return false, nil
	}
	n := chunk.Len()
	shown := make([]byte, 0, n+n/2)
	pos, rest, pieces := chunk.From.Pos, chunk.Body[0], chunk.Body[1:]
	err = s.reader.EachEnd(name, chunk, func(end stream.Offset) {
		if len(rest) == 0 { // a piece holds whole appends
			rest, pieces = pieces[0], pieces[1:]
		}
		size := end.Pos - pos
		shown = stream.AppendStateEvents(shown, rest[:size], end)
		pos, rest = end.Pos, rest[size:]
	})
	switch {
	case err != nil:
		return false, err
	case pos != chunk.Next.Pos:
		return false, fmt.Errorf("find the ends of appends in %q: the last is at %d, and the chunk ends at %d", name, pos, chunk.Next.Pos)
	}
	if chunk.Free != nil {
		chunk.Free()
		chunk.Free = nil
	}
	chunk.Body = [][]byte{shown}
	return true, nil
}

// showOffsets also counts what the answer then holds.
func (k *call) showOffsets(name stream.Name, chunk *stream.Chunk) error {
	made, err := k.server.showOffsets(name, chunk)
	if err != nil || !made {
		return err
	}
	return k.holdOutgoing(int64(cap(chunk.Body[0])))
}
