package fsm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/stream"
)

// follow is Follow for tests that look at one stream until they end.
func (n *node) follow(name stream.Name) func(stream.From, int) (stream.Chunk, <-chan struct{}, error) {
	look, leave := n.Follow(name)
	n.t.Cleanup(leave)
	return look
}

// What is in memory and what is not answers alike, whatever has happened to the
// streams: two machines apply the same log, and one has followers, whose memory
// is large, or holds only a few pieces, or forgets all the time.
func TestMemoryAndCopyAnswerAlike(t *testing.T) {
	for _, bytes := range []int64{0, 64 * 6000, 64 * 1500} {
		shared := 0
		for seed := range uint64(8) {
			plain := openNode(t, vfs.NewMem(), fsm.Config{TailBytes: -1})
			followed := openNode(t, vfs.NewMem(), fsm.Config{TailBytes: bytes})
			for _, name := range scriptNames {
				followed.follow(name)
			}
			g := rand.New(rand.NewPCG(seed, 9))
			commands, times := script(t, seed, 60)
			var waiting []*raft.Log
			for i, batch := range commands {
				plain.now = times[i]
				plain.apply(batch...)
				waiting = append(waiting, entry(plain.index, times[i], batch...))
				if g.IntN(2) == 0 {
					continue // several entries in one commit
				}
				followed.ApplyBatch(waiting)
				waiting = nil
				for range 20 {
					name := scriptNames[g.IntN(len(scriptNames))]
					from := stream.From{}
					if info, ok, _ := plain.Info(name); ok && g.IntN(4) > 0 {
						back := min(uint64(g.IntN(30)), info.Tail.Pos)
						from = stream.FromOffset(stream.Offset{Incarnation: info.Tail.Incarnation, Pos: info.Tail.Pos - back})
					}
					limit := g.IntN(60)
					want, wantErr := plain.Read(name, from, limit)
					got, gotErr := followed.Read(name, from, limit)
					if got.Memo != nil {
						shared++
						got.Memo = nil
					}
					if body(got) != body(want) || !reflect.DeepEqual(gotErr, wantErr) {
						t.Fatalf("seed %d, batch %d, %s from %v limit %d: %q, %v; want %q, %v", seed, i, name, from, limit, body(got), gotErr, body(want), wantErr)
					}
					got.Body, want.Body = nil, nil
					if !reflect.DeepEqual(got, want) {
						t.Fatalf("seed %d, batch %d: %+v, want %+v", seed, i, got, want)
					}
				}
			}
		}
		if shared == 0 {
			t.Fatalf("with %d bytes nothing was read from memory", bytes)
		}
	}
}

// All who follow a stream are given the same bytes, once made, and the same
// place for what they make of them.
func TestFollowersShareWhatACommitAdds(t *testing.T) {
	n := newNode(t)
	tail := n.must(create("s", "before")).Next
	look, other := n.follow("s"), n.follow("s")
	n.ApplyBatch([]*raft.Log{entry(n.index+1, n.now, add("s", "on"), add("s", "e")), entry(n.index+2, n.now, add("s", "two"))})
	n.index += 2
	a, _, err := look(stream.FromOffset(tail), 100)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := other(stream.FromOffset(tail), 100)
	if err != nil {
		t.Fatal(err)
	}
	if body(a) != "onetwo" || a.Memo == nil || a.Memo != b.Memo || &a.Body[0][0] != &b.Body[0][0] {
		t.Fatalf("%q and %q, shared %v", body(a), body(b), a.Memo == b.Memo)
	}
	middle := tail
	middle.Pos += 3
	for name, tt := range map[string]struct {
		from  stream.Offset
		limit int
		want  string
	}{
		"part of a piece":       {tail, 3, "one"},
		"from within a piece":   {middle, 100, "two"},
		"with what came before": {stream.Offset{}, 100, "beforeonetwo"},
	} {
		if c, _, err := look(stream.FromOffset(tt.from), tt.limit); err != nil || body(c) != tt.want || c.Memo != nil {
			t.Errorf("%s: %q, %v, memo %v; want %q without a memo", name, body(c), err, c.Memo, tt.want)
		}
	}
	if allocs := testing.AllocsPerRun(1000, func() {
		if c, bell, err := look(stream.FromOffset(tail), 100); err != nil || c.Memo == nil || bell == nil {
			t.Fatal(c, err)
		}
	}); allocs != 0 {
		t.Fatalf("a look from memory makes %v allocations, want none", allocs)
	}
}

// Followers of all kinds of patience see every byte once and in order, also
// those that fall so far behind that memory has forgotten where they are.
func TestFollowersSeeEveryByteOnce(t *testing.T) {
	n := openNode(t, vfs.NewMem(), fsm.Config{TailBytes: 64 * 8000, CachedStreams: 1})
	const streams, readers, rounds = 3, 5, 1500
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var fromMemory, fromCopy atomic.Int64
	for i := range streams {
		name := stream.Name(fmt.Sprint("s", i))
		start := n.must(create(name, "")).Next
		for reader := range readers {
			g := rand.New(rand.NewPCG(uint64(i), uint64(reader)))
			wg.Go(func() {
				look, leave := n.Follow(name)
				defer leave()
				var got strings.Builder
				for at, ended := start, false; !ended; {
					chunk, bell, err := look(stream.FromOffset(at), 1+g.IntN(2000))
					if err != nil || chunk.From != at || chunk.Next.Pos != at.Pos+uint64(chunk.Len()) {
						t.Errorf("%s at %v: %+v, %v", name, at, chunk, err)
						return
					}
					got.WriteString(body(chunk))
					at, ended = chunk.Next, chunk.Ended()
					switch {
					case chunk.Memo != nil:
						fromMemory.Add(1)
					case chunk.Len() > 0:
						fromCopy.Add(1)
					}
					if reader > 2 && g.IntN(40) == 0 {
						time.Sleep(time.Duration(g.IntN(20)) * time.Millisecond)
					}
					if !chunk.UpToDate() || ended {
						continue
					}
					select {
					case <-bell:
					case <-ctx.Done():
						t.Errorf("%s: asleep at %v for ever", name, at)
						return
					}
				}
				var want strings.Builder
				for round := range rounds {
					fmt.Fprintf(&want, "%s:%d;", name, round)
				}
				if got.String() != want.String() {
					t.Errorf("%s, reader %d: %d bytes, want %d; the same up to %d", name, reader, got.Len(), want.Len(), common(got.String(), want.String()))
				}
			})
		}
	}
	for round := range rounds {
		var batch []stream.Command
		for i := range streams {
			name := stream.Name(fmt.Sprint("s", i))
			batch = append(batch, stream.Append{Name: name, ContentType: "text/plain", Close: round == rounds-1,
				Body: stream.Payload{Data: fmt.Appendf(nil, "%s:%d;", name, round)}})
		}
		n.apply(batch...)
	}
	wg.Wait()
	if fromMemory.Load() == 0 || fromCopy.Load() == 0 {
		t.Fatalf("%d reads were shared, %d not: the test needs both", fromMemory.Load(), fromCopy.Load())
	}
}

func common(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// A chunk's buffer serves the next read only after its reader has given it back.
func TestBuffersAreTheirReadersUntilFreed(t *testing.T) {
	n := newNode(t)
	n.must(create("a", strings.Repeat("a", 100_000)))
	n.must(create("b", strings.Repeat("b", 100_000)))
	_, a := n.read("a", stream.From{}, 1<<20)
	if a.Free == nil || len(a.Body) != 1 {
		t.Fatalf("%d pieces, free %v", len(a.Body), a.Free != nil)
	}
	for range 10 {
		text, b := n.read("b", stream.From{}, 1<<20)
		if strings.Trim(text, "b") != "" || strings.Trim(body(a), "a") != "" {
			t.Fatal("two readers share a buffer")
		}
		b.Free()
	}
	a.Free()
}

// An append that is too large for memory leaves no hole in what is read.
func TestAnAppendTooLargeForMemoryIsRead(t *testing.T) {
	n := openNode(t, vfs.NewMem(), fsm.Config{TailBytes: 64 * 20_000})
	n.must(create("s", ""))
	look := n.follow("s")
	want := ""
	for round := range 6 {
		for _, text := range []string{"a", "bc", strings.Repeat("x", 7_000*(1+round)), "d", "e"} {
			n.must(add("s", text))
			want += text
			for _, back := range []int{1, 2, len(text) + 1, len(want)} {
				at := stream.Offset{Incarnation: 1, Pos: uint64(max(0, len(want)-back))}
				chunk, _, err := look(stream.FromOffset(at), 1<<20)
				var no *stream.Rejection
				switch {
				case errors.As(err, &no) && no.Code == stream.BadOffset: // inside an append
				case err != nil || body(chunk) != want[at.Pos:]:
					t.Fatalf("after %d bytes, from %v: %d bytes, %v", len(want), at, chunk.Len(), err)
				}
			}
		}
	}
}
