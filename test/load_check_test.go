package test

import (
	"bytes"
	"fmt"
	"net/http"

	"mainstem/test/harness"
)

// ackStride is how many acknowledgements are passed over between two whose
// offset is read from again.
const ackStride = 97

// check reads every stream on every node, as the default level answers and from
// the local copy, and wants each acknowledged append exactly once, in the order
// of its writer, and the same bytes everywhere.
func (l *load) check(nodes []*harness.Node) {
	l.t.Helper()
	reads := 0
	for _, s := range l.streams {
		var first harness.Content
		for i, n := range nodes {
			for _, h := range []http.Header{nil, harness.LocalReads()} {
				got, err := n.Client().ReadAll(s.name, "-1", h)
				if err != nil {
					l.t.Fatalf("%s %v: %v", n.ID, h, err)
				}
				reads += got.Reads
				if i == 0 && h == nil {
					first = got
					if err := s.check(got); err != nil {
						l.t.Fatalf("%s on %s: %v", s.name, n.ID, err)
					}
				}
				if got.Next != first.Next || !bytes.Equal(s.whole(got), s.whole(first)) {
					l.t.Fatalf("%s on %s %v: %d bytes to %s, on %s %d bytes to %s", s.name,
						n.ID, h, len(s.whole(got)), got.Next, nodes[0].ID, len(s.whole(first)), first.Next)
				}
			}
			if err := s.checkOffsets(n, first); err != nil {
				l.t.Fatalf("%s on %s: %v", s.name, n.ID, err)
			}
		}
	}
	l.t.Logf("%d streams read on %d nodes, default and local, in %d reads: every acknowledged append once, in order", len(l.streams), len(nodes), reads)
}

func (s *loadStream) whole(c harness.Content) []byte {
	if s.json {
		return c.JSON()
	}
	return c.Bytes()
}

// check compares what a reader sees with what was acknowledged. Each writer
// ended with an acknowledgement, so nothing may be there beyond it.
func (s *loadStream) check(c harness.Content) error {
	messages, err := s.parse(c)
	if err != nil {
		return err
	}
	next := map[int]int{}
	for i := 0; i < len(messages); i++ {
		m := messages[i]
		if m.Seq != next[m.Writer] {
			return fmt.Errorf("message %d is number %d of writer %d, want its number %d", i, m.Seq, m.Writer, next[m.Writer])
		}
		if s.json {
			i++
			if i == len(messages) || messages[i] != (message{Writer: m.Writer, Seq: m.Seq, Half: 1}) || m.Half != 0 {
				return fmt.Errorf("message %d: the array of writer %d, number %d, is torn", i, m.Writer, m.Seq)
			}
		}
		next[m.Writer]++
	}
	for _, w := range s.writers {
		if next[w.number] != len(w.acks) {
			return fmt.Errorf("%d appends of writer %d are there, %d were acknowledged", next[w.number], w.number, len(w.acks))
		}
		delete(next, w.number)
	}
	if len(next) > 0 {
		return fmt.Errorf("messages of writers that never wrote here: %v", next)
	}
	return nil
}

// checkOffsets reads from the offsets that acknowledgements told: what follows
// must be exactly what came after the acknowledged append.
func (s *loadStream) checkOffsets(n *harness.Node, whole harness.Content) error {
	if s.json {
		return nil // a suffix of JSON is not a suffix of the joined array's bytes
	}
	all := whole.Bytes()
	for _, w := range s.writers {
		for i := w.number % ackStride; i < len(w.acks); i += ackStride {
			ack := w.acks[i]
			rest, err := n.Client().ReadAll(s.name, ack.Next, nil)
			if err != nil {
				return err
			}
			before, suffix := bytes.CutSuffix(all, rest.Bytes())
			if !suffix {
				return fmt.Errorf("from %s, the offset of number %d of writer %d, other bytes are read than from the start", ack.Next, ack.Seq, w.number)
			}
			own := []byte(s.body(w.number, ack.Seq))
			// A repeat may be told a later tail; the first answer names the end of its append.
			if !bytes.HasSuffix(before, own) && !(ack.Duplicate && bytes.Contains(before, own)) {
				return fmt.Errorf("offset %s of number %d of writer %d is not the end of that append", ack.Next, ack.Seq, w.number)
			}
		}
	}
	return nil
}
