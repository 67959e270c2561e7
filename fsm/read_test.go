package fsm_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/fsm"
	"mainstem/stream"
)

func at(incarnation, pos uint64) stream.From {
	return stream.FromOffset(stream.Offset{Incarnation: incarnation, Pos: pos})
}

func TestChunksEndWithAppends(t *testing.T) {
	n := newNode(t)
	n.apply(create("a", "aaaa"), add("a", "bb"), add("a", strings.Repeat("C", 20)))
	n.apply(add("a", "dd"), add("a", "e"))
	whole := "aaaabb" + strings.Repeat("C", 20) + "dde"
	tests := map[string]struct {
		from  stream.From
		limit int
		want  string
		next  uint64
	}{
		"everything":            {stream.From{}, 1 << 20, whole, 29},
		"exactly everything":    {stream.From{}, 29, whole, 29},
		"one less":              {stream.From{}, 28, whole[:28], 28},
		"one append":            {stream.From{}, 4, "aaaa", 4},
		"not half of the next":  {stream.From{}, 5, "aaaa", 4},
		"two":                   {stream.From{}, 6, "aaaabb", 6},
		"not a large third":     {stream.From{}, 25, "aaaabb", 6},
		"over a record's end":   {at(1, 6), 22, whole[6:28], 28},
		"large alone is whole":  {at(1, 6), 3, whole[6:26], 26},
		"first is always there": {stream.From{}, 0, "aaaa", 4},
		"even below zero":       {stream.From{}, -5, "aaaa", 4},
		"from inside a record":  {at(1, 4), 100, whole[4:], 29},
		"from a record's start": {at(1, 26), 100, "dde", 29},
		"all zeros":             {at(0, 0), 4, "aaaa", 4},
		"at the tail":           {at(1, 29), 100, "", 29},
		"now":                   {mustFrom(t, "now"), 100, "", 29},
		"minus one":             {mustFrom(t, "-1"), 4, "aaaa", 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, chunk := n.read("a", tt.from, tt.limit)
			if got != tt.want || chunk.Next != (stream.Offset{Incarnation: 1, Pos: tt.next}) || chunk.Len() != len(tt.want) {
				t.Fatalf("%q, next %v; want %q, %d", got, chunk.Next, tt.want, tt.next)
			}
			if chunk.UpToDate() != (tt.next == 29) || chunk.Ended() {
				t.Fatalf("up to date %v, ended %v at %v", chunk.UpToDate(), chunk.Ended(), chunk.Next)
			}
		})
	}
	n.must(stream.Append{Name: "a", Close: true})
	if _, chunk := n.read("a", stream.From{}, 28); chunk.Ended() || chunk.UpToDate() {
		t.Fatal("a partial chunk of a closed stream claims the end")
	}
	if _, chunk := n.read("a", at(1, 28), 28); !chunk.Ended() {
		t.Fatal("the last chunk of a closed stream does not tell")
	}
}

func mustFrom(t *testing.T, s string) stream.From {
	t.Helper()
	from, err := stream.ParseFrom(s)
	if err != nil {
		t.Fatal(err)
	}
	return from
}

func TestOffsetsThatReadsRefuse(t *testing.T) {
	n := newNode(t)
	n.must(create("a", "old"))
	n.must(stream.Delete{Name: "a"})
	n.apply(create("a", "aaaa"), add("a", "bb"))                        // incarnation 2
	n.must(create("other", "zzzz"))                                     // 3
	n.must(forkOf("f", "a", &stream.Offset{Incarnation: 2, Pos: 4}, 1)) // 4: aaaa b
	n.must(add("f", "ff"))
	tests := map[string]struct {
		name stream.Name
		from stream.From
		code stream.Code
	}{
		"inside an append":               {"a", at(2, 2), stream.BadOffset},
		"beyond the tail":                {"a", at(2, 7), stream.BadOffset},
		"later incarnation":              {"a", at(9, 0), stream.BadOffset},
		"earlier incarnation":            {"a", at(1, 3), stream.Gone},
		"earlier incarnation's start":    {"a", at(1, 0), stream.Gone},
		"another stream's, not in chain": {"f", at(3, 4), stream.Gone},
		"source's, after the divergence": {"f", at(2, 6), stream.BadOffset},
		"source's, inside an append":     {"f", at(2, 1), stream.BadOffset},
		"fork's, before the divergence":  {"f", at(4, 4), stream.BadOffset},
		"fork's, inside its append":      {"f", at(4, 6), stream.BadOffset},
		"fork's, beyond":                 {"f", at(4, 8), stream.BadOffset},
		"missing":                        {"m", stream.From{}, stream.NotFound},
		"missing, now":                   {"m", mustFrom(t, "now"), stream.NotFound},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := n.refusal(tt.name, tt.from); got != tt.code {
				t.Fatalf("code %d, want %d", got, tt.code)
			}
		})
	}
}

func TestReadsCrossForksWithoutASeam(t *testing.T) {
	n := newNode(t)
	payload := func(body string) stream.Payload {
		p, err := stream.Frame("application/json", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	post := func(name stream.Name, body string) {
		n.must(stream.Append{Name: name, ContentType: "application/json", Body: payload(body)})
	}
	n.must(stream.Create{Name: "src", ContentType: "application/json", Body: payload(`[1,2]`)}) // ends at 4
	post("src", `[3,[4],5]`)                                                                    // at 12
	n.must(forkOf("f", "src", &stream.Offset{Incarnation: 1, Pos: 4}, 2))                       // 1,2, | 3,[4],
	post("f", `{"own":true}`)
	post("src", `6`)
	n.must(forkOf("g", "f", nil, 0))
	post("g", `7`)
	for limit := range 40 {
		chunks, all := n.readAll("g", limit)
		if want := `1,2,3,[4],{"own":true},7,`; all != want {
			t.Fatalf("limit %d: %q, want %q", limit, all, want)
		}
		for _, c := range chunks {
			if !strings.HasSuffix(c, `,"`) && limit > 0 {
				t.Fatalf("limit %d: a chunk cuts a message: %v", limit, chunks)
			}
		}
	}
	n.must(stream.Delete{Name: "src"})
	n.must(stream.Delete{Name: "f"})
	if _, all := n.readAll("g", 5); all != `1,2,3,[4],{"own":true},7,` {
		t.Fatalf("after its sources were deleted: %q", all)
	}
}

// A read that races with the end of its stream answers as of before or after,
// never with a fault, and never with another life's bytes.
func TestDeletesWhileReading(t *testing.T) {
	for _, cached := range []int{0, 1} {
		n := openNode(t, vfs.NewMem(), fsm.Config{CachedStreams: cached})
		var stop atomic.Bool
		var wg sync.WaitGroup
		var reads, refused atomic.Int64
		for range 3 {
			wg.Go(func() {
				for !stop.Load() {
					for _, name := range []stream.Name{"a", "f"} {
						chunk, err := n.Read(name, stream.From{}, 1<<20)
						var no *stream.Rejection
						switch {
						case errors.As(err, &no):
							if no.Code != stream.NotFound && no.Code != stream.Gone {
								t.Errorf("%s: %v", name, no)
							}
							refused.Add(1)
						case err != nil:
							t.Errorf("%s: %v", name, err)
							stop.Store(true)
						default:
							text := body(chunk)
							if uint64(len(text)) != chunk.Next.Pos || len(text) > 0 && strings.Trim(text, text[:1]) != "" {
								t.Errorf("%s: %q up to %v", name, text, chunk.Next)
								stop.Store(true)
							}
							reads.Add(1)
						}
					}
				}
			})
		}
		// At least 500 lives, and more where the scheduler is slow to let both happen.
		raced := func() bool { return reads.Load() > 0 && refused.Load() > 0 }
		for life := 0; (life < 500 || !raced() && life < 500_000) && !stop.Load(); life++ {
			c := fmt.Sprintf("%c", 'a'+life%26)
			n.apply(create("a", c))
			n.apply(add("a", c+c))
			n.apply(forkOf("f", "a", nil, 0))
			n.apply(stream.Delete{Name: "a"})
			n.apply(stream.Delete{Name: "f"})
		}
		stop.Store(true)
		wg.Wait()
		if !raced() {
			t.Fatalf("%d reads, %d refusals: nothing raced", reads.Load(), refused.Load())
		}
	}
}

// What was acknowledged is in every later read, whatever the cache holds.
func TestReadsAfterACommitAreNeverStale(t *testing.T) {
	const streams = 200
	n := openNode(t, vfs.NewMem(), fsm.Config{CachedStreams: 1}) // every shard holds one stream
	var acked [streams]atomic.Uint64
	name := func(i int) stream.Name { return stream.Name(fmt.Sprintf("s%03d", i)) }
	for i := range streams {
		n.must(create(name(i), ""))
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for reader := range 4 {
		wg.Go(func() {
			for i := reader; !stop.Load(); i = (i*7 + 13) % streams {
				want := acked[i].Load()
				info, ok, err := n.Info(name(i))
				if err != nil || !ok || info.Tail.Pos < want {
					t.Errorf("%s: tail %v, ok %v, %v; %d was acknowledged", name(i), info.Tail, ok, err, want)
					return
				}
				chunk, err := n.Read(name(i), stream.From{}, 1<<20)
				if err != nil || chunk.Next.Pos < want || chunk.Len() != int(chunk.Next.Pos) {
					t.Errorf("%s: read to %v, %v; %d was acknowledged", name(i), chunk.Next, err, want)
					return
				}
			}
		})
	}
	for round := range 40 {
		for i := range streams {
			if i%3 == round%3 {
				acked[i].Store(n.must(add(name(i), "x")).Next.Pos)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}

// The writer's own cache turns over too: what it forgot it reads back.
func TestTheWriterForgetsAndReadsBack(t *testing.T) {
	small, large := openNode(t, vfs.NewMem(), fsm.Config{CachedStreams: 2}), newNode(t)
	commands, times := script(t, 5, 60)
	for i, batch := range commands {
		small.now, large.now = times[i], times[i]
		got, want := small.apply(batch...), large.apply(batch...)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("batch %d: %+v, want %+v", i, got, want)
		}
	}
	if got, want := small.checksum(), large.checksum(); got != want {
		t.Fatalf("with a tiny cache %+v, without %+v", got, want)
	}
}
