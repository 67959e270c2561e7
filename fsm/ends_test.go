package fsm_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mainstem/stream"
)

// ends returns where the appends of a chunk end.
func (n *node) ends(name stream.Name, chunk *stream.Chunk) (ends []stream.Offset) {
	n.t.Helper()
	if err := n.EachEnd(name, chunk, func(end stream.Offset) { ends = append(ends, end) }); err != nil {
		n.t.Fatal(err)
	}
	return ends
}

// TestEndsAreThoseOfTheAppends, whatever the chunk: each append read alone ends
// where they say, from memory, from the copy, and over forks.
func TestEndsAreThoseOfTheAppends(t *testing.T) {
	n := newNode(t)
	n.apply(create("a", "aaaa"), add("a", "bb"), add("a", strings.Repeat("C", 20)))
	n.apply(add("a", "dd"), add("a", "e"))
	n.must(forkOf("f", "a", &stream.Offset{Incarnation: 1, Pos: 6}, 3)) // aaaa bb | CCC
	n.apply(add("f", "ff"), add("f", "g"))
	n.must(add("a", "late"))
	n.must(forkOf("g", "f", nil, 0))
	_, leave := n.Follow("g")
	defer leave()
	n.apply(add("g", "gg"), add("g", "hh"))
	for _, name := range []stream.Name{"a", "f", "g"} {
		var want []stream.Offset
		for from := (stream.From{}); ; {
			_, one := n.read(name, from, 0) // one append
			want, from = append(want, one.Next), stream.FromOffset(one.Next)
			if one.UpToDate() {
				break
			}
		}
		_, first := n.read(name, stream.From{}, 0)
		starts := append([]stream.Offset{first.From}, want...)
		for i, start := range starts {
			for limit := range 50 {
				_, chunk := n.read(name, stream.FromOffset(start), limit)
				var part []stream.Offset
				for _, end := range want[i:] {
					if end.Pos <= chunk.Next.Pos {
						part = append(part, end)
					}
				}
				if got := n.ends(name, &chunk); fmt.Sprint(got) != fmt.Sprint(part) {
					t.Fatalf("%s from %v, limit %d: got %v, want %v", name, start, limit, got, part)
				}
			}
		}
	}
}

func TestEndsOfWhatHasGoneSinceAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change []stream.Command
		want   stream.Code
	}{
		"deleted":     {[]stream.Command{stream.Delete{Name: "f"}}, stream.NotFound},
		"made anew":   {[]stream.Command{stream.Delete{Name: "f"}, forkOf("f", "a", nil, 0), add("f", "other data")}, stream.Gone},
		"for forks":   {[]stream.Command{forkOf("g", "f", nil, 0), stream.Delete{Name: "f"}}, stream.Gone},
		"grown":       {[]stream.Command{add("f", "more")}, 0},
		"closed":      {[]stream.Command{stream.Append{Name: "f", Close: true}}, 0},
		"source gone": {[]stream.Command{stream.Delete{Name: "a"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.must(create("a", "aaaa"))
			n.must(forkOf("f", "a", nil, 0))
			n.must(add("f", "bb"))
			_, chunk := n.read("f", stream.From{}, 100)
			for _, c := range tt.change {
				n.must(c)
			}
			count := 0
			err := n.EachEnd("f", &chunk, func(stream.Offset) { count++ })
			var no *stream.Rejection
			if tt.want == 0 && (err != nil || count != 2) {
				t.Fatalf("got %d ends, %v; want 2", count, err)
			}
			if tt.want != 0 && (!errors.As(err, &no) || no.Code != tt.want || count != 0) {
				t.Fatalf("got %d ends, %v; want none and code %d", count, err, tt.want)
			}
		})
	}
}
