package backup

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"mainstem/storage"
)

// heldWriter encodes a table of storage.Held, in the order of incarnations: of
// each the distance from the one before, the first position, and the distance of
// the last from it.
type heldWriter struct{ before uint64 }

func (w *heldWriter) append(b []byte, h storage.Held) []byte {
	b = binary.AppendUvarint(b, h.Incarnation-w.before)
	b = binary.AppendUvarint(b, h.First)
	w.before = h.Incarnation
	return binary.AppendUvarint(b, h.Last-h.First)
}

// heldReader reads what a heldWriter wrote.
type heldReader struct {
	r      *bufio.Reader
	before uint64
	begun  bool
}

// next returns io.EOF after the last one.
func (r *heldReader) next() (h storage.Held, err error) {
	if _, err := r.r.Peek(1); err != nil {
		return h, err
	}
	var n [3]uint64
	for i := range n {
		if n[i], err = binary.ReadUvarint(r.r); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return h, fmt.Errorf("the table of records is cut: %w", err)
		}
	}
	h = storage.Held{Incarnation: r.before + n[0], First: n[1], Last: n[1] + n[2]}
	if h.Incarnation < r.before || r.begun && n[0] == 0 || h.Last < h.First {
		return h, fmt.Errorf("the table of records is not in order after incarnation %d", r.before)
	}
	r.before, r.begun = h.Incarnation, true
	return h, nil
}

// heldCursor answers for growing incarnations what a table says of them.
type heldCursor struct {
	next func() (storage.Held, error) // io.EOF at the end
	at   storage.Held
	done bool
	read bool
}

func (c *heldCursor) find(incarnation uint64) (h storage.Held, ok bool, err error) {
	for !c.done && (!c.read || c.at.Incarnation < incarnation) {
		c.at, err = c.next()
		if err == io.EOF {
			c.done = true
			break
		}
		if err != nil {
			return h, false, err
		}
		c.read = true
	}
	if c.done || c.at.Incarnation != incarnation {
		return h, false, nil
	}
	return c.at, true, nil
}
