package cli

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"

	"mainstem/settings"
)

// pieces cuts an input into what one append takes each.
type pieces struct {
	in    io.Reader
	max   int
	lines bool // end each with a line, unless one line is longer
	whole bool // all in one
	full  bool // fill each, so that the same input is always cut alike; else what is there is not kept waiting
}

// all yields each piece, which is valid until the next. An error is the last.
func (p pieces) all() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if p.whole {
			content, err := readAtMost(p.in, settings.BodyBytesMax)
			yield(content, err)
			return
		}
		r := bufio.NewReaderSize(p.in, 64<<10)
		var piece []byte
		for {
			more, err := p.read(r, p.max-len(piece))
			if len(piece) > 0 && len(piece)+len(more) > p.max { // a line that does not fit
				if !yield(piece, nil) {
					return
				}
				piece = nil
			}
			piece = append(piece, more...)
			end := errors.Is(err, io.EOF)
			if err != nil && !end {
				yield(nil, err)
				return
			}
			if len(piece) > 0 && (end || len(piece) >= p.max || !p.full && r.Buffered() == 0) {
				if !yield(piece, nil) {
					return
				}
				piece = nil
			}
			if end {
				return
			}
		}
	}
}

// read returns a line, or some bytes but not more than room.
func (p pieces) read(r *bufio.Reader, room int) ([]byte, error) {
	if p.lines {
		line, err := r.ReadBytes('\n')
		if len(line) > settings.BodyBytesMax {
			return nil, errors.New("a line is longer than one append may hold")
		}
		if errors.Is(err, io.EOF) && len(line) > 0 && !bytes.HasSuffix(line, []byte{'\n'}) {
			return line, io.EOF
		}
		return line, err
	}
	if _, err := r.Peek(1); err != nil { // waits for something to be there
		return nil, err
	}
	some := make([]byte, min(room, r.Buffered()))
	_, err := io.ReadFull(r, some)
	return some, err
}
