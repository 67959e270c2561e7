package httpapi

import (
	"strconv"

	"mainstem/stream"
)

// frame is what one chunk is as text, kept with the chunk for all its readers.
// They differ in the cursor alone, and only those whose clients have come with a
// later one.
type frame struct {
	kind   frameKind
	cursor uint64
	packet packet // never written again
	digits [2]int // where in its text the cursor lies, if it is in it
}

// frameKind is what makes the frames of one chunk differ.
type frameKind struct {
	encoding        encoding
	upToDate, ended bool
}

// frameRoom is what a frame takes beside its data.
const frameRoom = 224 + packetRoom

// knownFrame returns the frame that another reader of the chunk has made, nil if
// there is none.
func knownFrame(kind frameKind, chunk *stream.Chunk) *frame {
	if f, ok := chunk.Memo.Load().(*frame); ok && f.kind == kind {
		return f
	}
	return nil
}

// sharedFrame returns the frame of a chunk that has a memo. Two readers may make
// it at the same time; either will do.
func sharedFrame(kind frameKind, chunk *stream.Chunk, cursor uint64) *frame {
	if f := knownFrame(kind, chunk); f != nil {
		return f
	}
	n := chunk.Len()
	if kind.encoding == base64Text {
		n += n/3 + 4
	}
	f := &frame{kind: kind, cursor: cursor}
	f.packet = newPacket(make([]byte, packetHead, n+frameRoom), func(b []byte) []byte { return appendEvents(b, kind, chunk, cursor) })
	if !kind.ended {
		end := len(f.packet.text()) - len(afterCursor(kind.upToDate))
		f.digits = [2]int{end - digitsOf(cursor), end}
	}
	chunk.Memo.Store(f)
	return f
}

// appendWith appends the text with another cursor.
func (f *frame) appendWith(b []byte, cursor uint64) []byte {
	text := f.packet.text()
	b = append(b, text[:f.digits[0]]...)
	b = strconv.AppendUint(b, cursor, 10)
	return append(b, text[f.digits[1]:]...)
}

func digitsOf(n uint64) int {
	var b [20]byte
	return len(strconv.AppendUint(b[:0], n, 10))
}

// appendEvents appends the events of one chunk: its data, if there is any, and
// where the reader is then.
func appendEvents(b []byte, kind frameKind, chunk *stream.Chunk, cursor uint64) []byte {
	if chunk.Len() > 0 {
		b = appendData(b, kind.encoding, chunk)
	}
	return appendControl(b, chunk.Next, cursor, kind.upToDate, kind.ended)
}
