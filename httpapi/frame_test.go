package httpapi

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// TestSharedFramesSayWhatOwnFramesSay: whoever made the frame first, each reader
// gets what it would have made itself.
func TestSharedFramesSayWhatOwnFramesSay(t *testing.T) {
	for name, data := range map[string]struct {
		encoding encoding
		body     string
	}{
		"text":   {plainText, "a\n streamCursor \"7\"\r\nb"},
		"json":   {jsonArray, `{"streamCursor":"7"},"}",`},
		"base64": {base64Text, "\x00\xff7"},
		"empty":  {plainText, ""},
	} {
		for _, upToDate := range []bool{false, true} {
			for _, ended := range []bool{false, true} {
				chunk := stream.Chunk{Next: stream.Offset{Incarnation: 7, Pos: 77}, Memo: new(atomic.Value)}
				if data.body != "" {
					chunk.Body = [][]byte{[]byte(data.body)}
				}
				kind := frameKind{data.encoding, upToDate, ended}
				for _, cursor := range []uint64{7, 7, 12345, 8, 0} {
					want := string(appendEvents(nil, kind, &chunk, cursor))
					f := sharedFrame(kind, &chunk, cursor)
					got := string(f.packet.text())
					if !ended && f.cursor != cursor {
						got = string(f.appendWith(nil, cursor))
					}
					if got != want {
						t.Errorf("%s, up to date %v, ended %v, cursor %d: got %q, want %q", name, upToDate, ended, cursor, got, want)
					}
				}
				first := sharedFrame(kind, &chunk, 1)
				if first != sharedFrame(kind, &chunk, 2) || sharedFrame(frameKind{data.encoding, !upToDate, ended}, &chunk, 1) == first {
					t.Errorf("%s: a frame is shared wrongly", name)
				}
			}
		}
	}
}

// deaf is a connection that takes everything.
type deaf struct {
	header    http.Header
	deadlines int
}

func (d *deaf) Header() http.Header              { return d.header }
func (d *deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (d *deaf) WriteHeader(int)                  {}
func (d *deaf) FlushError() error                { return nil }
func (d *deaf) SetWriteDeadline(time.Time) error { d.deadlines++; return nil }

// deafTail is an SSE connection to nobody, about to send a chunk.
func deafTail(protoMajor int, cursor uint64) (*tail, *deaf, *stream.Chunk) {
	s := &Server{cfg: Config{}.withDefaults()}
	s.outgoing.max = 1 << 20
	s.buffers.New = newBuffer
	d := &deaf{header: http.Header{}}
	t := &tail{
		follower: &follower{server: s},
		out:      &response{server: s, res: echo.NewResponse(d, nil), flusher: http.NewResponseController(d), keeps: protoMajor == 1},
		encoding: jsonArray,
		cursor:   cursor,
	}
	body := append(make([]byte, 255), ',')
	return t, d, &stream.Chunk{Next: stream.Offset{Incarnation: 1, Pos: 256}, Body: [][]byte{body}, Memo: new(atomic.Value)}
}

func TestAnEventCostsItsReadersNoMemory(t *testing.T) {
	later := uint64(1) << 40
	for name, tt := range map[string]struct {
		protoMajor int
		cursor     uint64
		memo       bool
	}{
		"shared":              {1, 0, true},
		"with a later cursor": {1, later, true},
		"of its own":          {1, 0, false},
		"over HTTP/2":         {2, 0, true},
	} {
		tail, d, chunk := deafTail(tt.protoMajor, tt.cursor)
		if tail.send(chunk); !tt.memo {
			chunk.Memo = nil
		}
		d.deadlines = 0
		allocs := testing.AllocsPerRun(1000, func() {
			if tail.send(chunk) != nil {
				t.Fatal("not sent")
			}
		})
		if allocs > raceAllocs {
			t.Errorf("%s: %v allocations, want at most %v", name, allocs, raceAllocs)
		}
		if perEvent := float64(d.deadlines) / 1000; tt.protoMajor == 1 && perEvent > 0.1 || tt.protoMajor == 2 && perEvent < 2 {
			t.Errorf("%s: %v deadlines per event", name, perEvent)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	for name, memo := range map[string]bool{"shared": true, "own": false} {
		b.Run(name, func(b *testing.B) {
			tail, _, chunk := deafTail(1, 0)
			if !memo {
				chunk.Memo = nil
			}
			b.ReportAllocs()
			for b.Loop() {
				tail.send(chunk)
			}
		})
	}
}

// endsOnce is a copy of which each chunk is one append.
type endsOnce struct {
	Reader
	looks int
}

func (e *endsOnce) EachEnd(_ stream.Name, chunk *stream.Chunk, visit func(stream.Offset)) error {
	e.looks++
	visit(chunk.Next)
	return nil
}

// TestAnEventShowsItsOffsetOnceForAllReaders: the second does not pay for it.
func TestAnEventShowsItsOffsetOnceForAllReaders(t *testing.T) {
	tail, _, chunk := deafTail(1, 0)
	ends := &endsOnce{}
	tail.server.reader, tail.server.cfg.StateOffsets = ends, true
	chunk.ContentType = "application/json"
	body := `{"headers":{"operation":"insert"}},`
	chunk.Next.Pos, chunk.Body = uint64(len(body)), [][]byte{[]byte(body)}
	first := *chunk
	if err := tail.send(&first); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(1000, func() {
		if err := tail.send(chunk); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > raceAllocs || ends.looks != 1 || string(chunk.Body[0]) != body {
		t.Fatalf("%v allocations, %d looks, body %q; want at most %v, 1, %q", allocs, ends.looks, chunk.Body[0], raceAllocs, body)
	}
	if text := string(chunk.Memo.Load().(*frame).packet.text()); !strings.Contains(text, `"offset":"0000000000000001_0000000000000035"`) {
		t.Fatalf("got %q", text)
	}
}

func TestStateOffsetsThatAreOffCostNothing(t *testing.T) {
	tail, _, chunk := deafTail(1, 0) // without a reader that could be asked
	chunk.ContentType = "application/json"
	if n := testing.AllocsPerRun(1000, func() { _, _ = tail.server.showOffsets("s", chunk) }); n != 0 {
		t.Fatalf("got %v allocations, want none", n)
	}
}
