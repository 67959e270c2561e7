package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/httpapi"
	"mainstem/stream"
)

// instant answers everything at once, so that only this package is measured.
type instant struct{ chunk stream.Chunk }

func (instant) Submit(context.Context, stream.Command) (stream.Result, error) {
	return stream.Result{Outcome: stream.Outcome{Next: stream.Offset{Incarnation: 1, Pos: 256}}}, nil
}
func (instant) Fence(context.Context) error { return nil }
func (instant) FencedAtOnce() bool          { return true }
func (i instant) Info(stream.Name) (stream.Info, bool, error) {
	return i.chunk.Info, true, nil
}
func (i instant) Read(stream.Name, stream.From, int) (stream.Chunk, error) { return i.chunk, nil }
func (i instant) Follow(stream.Name) (func(stream.From, int) (stream.Chunk, <-chan struct{}, error), func()) {
	return func(stream.From, int) (stream.Chunk, <-chan struct{}, error) { return i.chunk, nil, nil }, func() {}
}
func (instant) EachEnd(stream.Name, *stream.Chunk, func(stream.Offset)) error {
	panic("nobody has asked for offsets")
}
func (instant) List(string, stream.Name, func(stream.Name, *stream.State) bool) error { return nil }
func (instant) Checks() []httpapi.Check                                               { return nil }
func (instant) ClusterChecks() []httpapi.Check                                        { return nil }
func (instant) Status(context.Context) any                                            { return nil }
func (instant) LeaderContact() (time.Time, bool)                                      { return time.Now(), true }

// sink is a response that nobody reads.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

func benchmark(b *testing.B, h http.Handler, method, target, body string) {
	r := request(method, target, body, "Content-Type", "application/octet-stream")
	b.ReportAllocs()
	for b.Loop() {
		if body != "" {
			r.Body = io.NopCloser(strings.NewReader(body))
		}
		h.ServeHTTP(&sink{header: http.Header{}}, r)
	}
}

// BenchmarkBareEcho is the ceiling: read the body, answer 204.
func BenchmarkBareEcho(b *testing.B) {
	e := echo.New()
	e.POST("/v1/stream/*", func(c echo.Context) error {
		_, _ = io.Copy(io.Discard, c.Request().Body)
		return c.NoContent(http.StatusNoContent)
	})
	benchmark(b, e, http.MethodPost, "/v1/stream/s", strings.Repeat("x", 256))
}

func benchmarkServer(b *testing.B, i instant) *httpapi.Server {
	s, err := httpapi.New(httpapi.Config{}, i, i, i, i)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkAppend(b *testing.B) {
	benchmark(b, benchmarkServer(b, instant{}), http.MethodPost, "/v1/stream/s", strings.Repeat("x", 256))
}

func BenchmarkRead(b *testing.B) {
	end := stream.Offset{Incarnation: 1, Pos: 256}
	i := instant{chunk: stream.Chunk{Info: stream.Info{Incarnation: 1, ContentType: "text/plain", Tail: end}, Next: end, Body: [][]byte{make([]byte, 256)}}}
	benchmark(b, benchmarkServer(b, i), http.MethodGet, "/v1/stream/s?offset=0000000000000001_0000000000000000", "")
}

// polled is a stream that changes while somebody waits for it.
type polled struct {
	instant
	memo *atomic.Value
}

func (p polled) Read(_ stream.Name, from stream.From, _ int) (stream.Chunk, error) {
	at, _ := from.Offset()
	return stream.Chunk{Info: stream.Info{Incarnation: 1, ContentType: "application/json", Tail: at}, From: at, Next: at}, nil
}

func (p polled) Follow(stream.Name) (func(stream.From, int) (stream.Chunk, <-chan struct{}, error), func()) {
	looks := 0
	return func(from stream.From, _ int) (stream.Chunk, <-chan struct{}, error) {
		bell := make(chan struct{})
		close(bell)
		if looks++; looks == 1 {
			c, err := p.Read("", from, 0)
			return c, bell, err
		}
		c := p.chunk
		c.Memo = p.memo
		return c, bell, nil
	}, func() {}
}

// polledStream has one message for whoever waits.
func polledStream() polled {
	end := stream.Offset{Incarnation: 1, Pos: 256}
	return polled{instant{stream.Chunk{
		Info: stream.Info{Incarnation: 1, ContentType: "application/json", Tail: end}, From: stream.Offset{Incarnation: 1}, Next: end, Body: [][]byte{make([]byte, 256)},
	}}, new(atomic.Value)}
}

const pollTarget = "/v1/stream/s?offset=0000000000000001_0000000000000000&live=long-poll&cursor=12"

func BenchmarkLongPoll(b *testing.B) {
	p := polledStream()
	s, err := httpapi.New(httpapi.Config{}, p, p, p, p)
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, s, http.MethodGet, pollTarget, "")
}
