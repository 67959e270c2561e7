package fsm_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/fsm"
	"mainstem/stream"
)

const keptLimit = 100_000

// long is a stream of some chunks, with what it holds.
func long(n *node, name stream.Name, appends int) string {
	return longOf(n, name, appends, string(name))
}

func longOf(n *node, name stream.Name, appends int, word string) string {
	n.must(create(name, ""))
	var all strings.Builder
	for i := range appends {
		text := strings.Repeat(fmt.Sprintf("%s %06d;", word, i), 500)
		n.must(add(name, text))
		all.WriteString(text)
	}
	return all.String()
}

// TestReadersOfTheSameShareIt: from the second reader on a full chunk comes from
// memory that is never written again, and is what the first has got.
func TestReadersOfTheSameShareIt(t *testing.T) {
	n := newNode(t)
	want := long(n, "s", 100)
	_, first := n.read("s", stream.From{}, keptLimit)
	text := body(first)
	if first.Free == nil {
		t.Fatal("what one reader reads once is kept for nobody")
	}
	first.Free()
	var bodies []*byte
	_, second := n.read("s", stream.From{}, keptLimit)
	second.Free() // what is kept is a copy
	for range 3 {
		got, c := n.read("s", stream.From{}, keptLimit)
		if got != text || c.Free != nil || c.Len() > keptLimit {
			t.Fatalf("got %d bytes, want %d; may be written again: %v", len(got), len(text), c.Free != nil)
		}
		bodies = append(bodies, &c.Body[0][0])
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
		t.Fatal("read again from the copy")
	}
	for range 3 { // with other limits there are other chunks
		for _, limit := range []int{keptLimit, 70_000, 1 << 20, 100} {
			if _, all := n.readAll("s", limit); all != want {
				t.Fatalf("limit %d: got %d bytes, want %d", limit, len(all), len(want))
			}
		}
	}
}

// TestAChunkAtTheTailIsNotKept, because it is a longer one the next time.
func TestAChunkAtTheTailIsNotKept(t *testing.T) {
	n := newNode(t)
	want := long(n, "s", 15) // less than one chunk
	for i := range 10 {
		if _, all := n.readAll("s", keptLimit); all != want {
			t.Fatalf("after %d appends: got %d bytes, want %d", i, len(all), len(want))
		}
		text := strings.Repeat("more", 1000)
		n.must(add("s", text))
		want += text
	}
}

// TestWhatWasKeptEndsWithItsStream: a deleted stream is gone, and one that takes its
// place has its own bytes; a fork has both.
func TestWhatWasKeptEndsWithItsStream(t *testing.T) {
	n := newNode(t)
	before := long(n, "s", 50)
	for range 3 {
		n.readAll("s", keptLimit)
	}
	n.must(forkOf("f", "s", nil, 0))
	n.must(add("f", "own"))
	for range 3 {
		if _, all := n.readAll("f", keptLimit); all != before+"own" {
			t.Fatalf("the fork has %d bytes, want %d", len(all), len(before)+3)
		}
	}
	n.must(stream.Delete{Name: "f"})
	n.must(stream.Delete{Name: "s"})
	if got := n.refusal("s", stream.From{}); got != stream.NotFound {
		t.Fatalf("got %v", got)
	}
	after := longOf(n, "s", 50, "t")
	for range 3 {
		if _, all := n.readAll("s", keptLimit); all != after {
			t.Fatal("the stream has bytes of the one before it")
		}
	}
}

// TestKeptChunksAreBounded: many streams are read again and again, and what is kept
// stays within its bounds; without room nothing is kept, and all is read all the same.
func TestKeptChunksAreBounded(t *testing.T) {
	for _, most := range []int64{-1, 50_000, 250_000, 1 << 30} {
		n := openNode(t, vfs.NewMem(), fsm.Config{ChunkBytes: most})
		want := map[stream.Name]string{}
		for i := range 5 {
			name := stream.Name(fmt.Sprint(i))
			want[name] = long(n, name, 60)
		}
		var readers sync.WaitGroup
		for name, text := range want {
			readers.Go(func() {
				for range 4 {
					if _, all := n.readAll(name, keptLimit); all != text {
						t.Errorf("%d bytes kept: got %d bytes, want %d", most, len(all), len(text))
					}
				}
			})
		}
		readers.Wait()
		kept := n.KeptBytes()
		if kept > max(most, 0) || most == 250_000 && kept == 0 {
			t.Errorf("keeps %d bytes of %d", kept, most)
		}
	}
}
