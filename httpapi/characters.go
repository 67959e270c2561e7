package httpapi

import (
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"mainstem/stream"
)

// characterTime is how long the last append of a text stream is held back
// because it ends within a character, for the rest of it to arrive.
const characterTime = time.Second

// characterBytesMax bounds what is added to a chunk in search of the end of a
// character, when one append after the other ends within one.
const characterBytesMax = 64 << 10

// isUTF8 reports text that is UTF-8 by its label, or has none.
func isUTF8(t stream.ContentType) bool {
	_, params, err := mime.ParseMediaType(string(t))
	charset := params["charset"]
	return err == nil && (charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii"))
}

// completeCharacter makes the chunk end between two characters. A writer
// may cut its text anywhere, but an event is decoded as a piece of UTF-8 of its
// own: half a character at its end would be lost. Offsets exist only between
// appends, so the chunk gives back its last appends or takes the next ones.
//
// While neither helps, because the stream ends there for the moment, the chunk is
// to be held back; but not for ever, and not if it is no UTF-8: then it is sent as
// it is.
func (t *tail) completeCharacter(now time.Time) (hold bool, err error) {
	for shorter := t.chunk; ; {
		before := shorter.Len()
		if shorter, err = t.read(shorter.From, before-1); err != nil {
			return false, err
		}
		if shorter.Len() >= before {
			break // one append; it cannot be shorter
		}
		if !cutsCharacter(&shorter) {
			t.chunk = shorter
			return false, nil
		}
	}
	return t.extend(now)
}

// extend adds the appends that follow, one after the other, until a character
// is whole.
func (t *tail) extend(now time.Time) (hold bool, err error) {
	chunk := &t.chunk
	most := chunk.Len() + characterBytesMax
	for cutsCharacter(chunk) && chunk.Len() <= most && !chunk.Ended() {
		if chunk.UpToDate() {
			if t.held.IsZero() {
				t.held = earlier(now.Add(characterTime), t.end)
			}
			return now.Before(t.held), nil
		}
		more, err := t.read(chunk.Next, 1)
		if err != nil {
			return false, err
		}
		more.Memo, more.Free = nil, nil // the body is another one now
		more.Body = append(chunk.Body[:len(chunk.Body):len(chunk.Body)], more.Body...)
		more.From = chunk.From
		*chunk = more
	}
	return false, nil
}

// cutsCharacter reports bytes that end with the beginning of a UTF-8 sequence.
func cutsCharacter(chunk *stream.Chunk) bool {
	var last [utf8.UTFMax]byte
	n := len(last)
	for i := len(chunk.Body) - 1; i >= 0 && n > 0; i-- {
		piece := chunk.Body[i]
		k := min(n, len(piece))
		n -= k
		copy(last[n:], piece[len(piece)-k:])
	}
	end := last[n:]
	for i := len(end) - 1; i >= 0; i-- {
		if utf8.RuneStart(end[i]) {
			return !utf8.FullRune(end[i:])
		}
	}
	return false
}
