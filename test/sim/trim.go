package sim

import (
	"fmt"
	"strings"

	"mainstem/stream"
)

// Streams whose old data goes while they are used, by size and by age, and how
// much of the first is kept at least.
var trimmed = []string{"trim-size", "trim-age"}

const (
	trimKeeps = 400
	// trimSlack is what is kept beyond that at most, when all is quiet: less than
	// the longest append.
	trimSlack = 50
)

// isTrimmed tells such a stream, or a fork of one, by its name.
func isTrimmed(name string) bool { return strings.HasPrefix(name, "trim-") }

func trimHeaders(name string) Headers {
	h := headersOf(name)
	if name == trimmed[0] {
		h["Stream-Retention-Bytes"] = fmt.Sprint(trimKeeps)
	} else {
		h["Stream-Retention-Age"] = "4"
	}
	return h
}

// trim appends to a stream that is trimmed, trims it, forks it, and reads it from
// wherever it stood.
func (c *client) trim(name string) {
	var at stream.Offset
	for i := 0; c.going(); i++ {
		switch c.rng.IntN(12) {
		case 0:
			if told := c.told(name); told != nil && name != trimmed[0] { // of that one retention alone decides
				c.do(&Op{Kind: Trim, Stream: name, From: *told}, "PATCH", "", Headers{"Stream-Retention-Horizon": told.String()}, "")
			}
		case 1:
			c.forkTrimmed(name, i)
		case 2:
			c.do(&Op{Kind: Read, Stream: name}, "GET", "?offset=-1", nil, "")
		case 3, 4, 5:
			o := c.do(&Op{Kind: Read, Stream: name, From: at}, "GET", "?offset="+at.String(), nil, "")
			switch {
			case o.Status == 200:
				at = o.Next
			case o.Status == 410 && o.Horizon.Pos > at.Pos:
				at = o.Horizon
			case o.Status != 0 && o.Status != 503:
				c.History.Complain("a read of a stream that is trimmed is refused: %v, horizon %v", o, o.Horizon)
			}
		default:
			c.append(name)
		}
	}
}

// told is a late offset that was acknowledged.
func (c *client) told(name string) *stream.Offset {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.acked[name]
	if len(list) == 0 {
		return nil
	}
	return &list[len(list)-1-c.rng.IntN(min(len(list), 8))]
}

func (c *client) forkTrimmed(source string, i int) {
	at := c.told(source)
	if at == nil {
		return
	}
	name := fmt.Sprintf("%s-fork-%d-%d", source, c.id, i)
	o := &Op{Kind: Create, Stream: name, Source: source, From: *at}
	h := headersOf(name)
	h["Stream-Forked-From"], h["Stream-Fork-Offset"] = Base+source, at.String()
	if c.do(o, "PUT", "", h, "").Fate() != Done {
		return // what it would begin with may be gone
	}
	if c.rng.IntN(2) == 0 { // the others keep what they inherit to the end
		c.do(&Op{Kind: Delete, Stream: name}, "DELETE", "", nil, "")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = append(c.streams, name)
}

// canvas is what is known of the bytes of a stream whose beginning is gone.
type canvas struct {
	bytes []byte
	known []bool
}

// paint puts bytes at a position and reports whether they agree with what is there.
func (c *canvas) paint(at uint64, text string) bool {
	for uint64(len(c.bytes)) < at+uint64(len(text)) {
		c.bytes, c.known = append(c.bytes, 0), append(c.known, false)
	}
	for i := range len(text) {
		k := at + uint64(i)
		if c.known[k] && c.bytes[k] != text[i] {
			return false
		}
		c.bytes[k], c.known[k] = text[i], true
	}
	return true
}

// trimmedStream wants what was acknowledged, read, or is there in the end to be of
// one text, the horizon to go only forward, and no more to go than may.
func (v *Verdict) trimmedStream(name string, ops []*Op, final Final, h *History) {
	var text canvas
	for _, o := range ops {
		if o.Kind != Append || o.Fate() != Done {
			continue
		}
		if o.Next.Pos > final.Next.Pos || !text.paint(o.Next.Pos-uint64(len(o.Data)), o.Data) {
			v.wrong("acknowledged and not in its place: %v of %q", o, o.Data)
		}
	}
	if !text.paint(final.Begin, final.Body) {
		v.wrong("%s does not hold what was acknowledged from %d on: %q", name, final.Begin, final.Body)
	}
	for _, o := range ops {
		from := o.From.Pos
		if o.From.IsZero() {
			from = o.Horizon.Pos
		}
		if o.Kind == Read && o.Status == 200 {
			v.Counts["reads of trimmed streams"]++
			if !text.paint(from, o.Body) {
				v.wrong("not what the stream holds: %v: %q", o, o.Body)
			}
		}
	}
	v.horizons(ops)
	kept := final.Next.Pos - final.Begin
	if name == trimmed[0] && final.Begin > 0 && (kept < trimKeeps || kept > trimKeeps+trimSlack) {
		v.wrong("%s keeps %d bytes from %d on, and is to keep %d", name, kept, final.Begin, trimKeeps)
	}
	if final.Begin == 0 {
		v.wrong("%s was never trimmed", name)
	}
	v.forksOfTrimmed(name, &text, h)
}

// horizons wants who reads from the start, after a horizon was told to anybody, to
// begin there or later.
func (v *Verdict) horizons(ops []*Op) {
	for _, o := range ops {
		if o.Kind != Read || o.Status != 200 || !o.From.IsZero() || o.Stale {
			continue
		}
		for _, before := range ops {
			if before.Return < o.Call && before.Status != 0 && before.Horizon.Pos > o.Horizon.Pos {
				v.wrong("the horizon went back to %v: %v, after %v had told %v", o.Horizon, o, before, before.Horizon)
			}
		}
	}
}

// forksOfTrimmed wants forks to hold what they inherited, whatever went since.
func (v *Verdict) forksOfTrimmed(name string, text *canvas, h *History) {
	for _, o := range h.Ops() {
		if o.Source != name || o.Fate() != Done {
			continue
		}
		for id, final := range h.Final[o.Stream] {
			v.Counts["forks of trimmed streams"]++
			if final.Next != o.From || !text.paint(final.Begin, final.Body) {
				v.wrong("%s on %s, which was forked at %v, does not hold what it inherited: from %d to %v %q", o.Stream, id, o.From, final.Begin, final.Next, final.Body)
			}
		}
	}
}
