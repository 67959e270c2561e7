package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mainstem/httpapi"
	"mainstem/stream"
)

// judgingWriter checks that the body it is given stays as it is until it returns.
type judgingWriter struct {
	instant
	t *testing.T
}

func (w judgingWriter) Submit(_ context.Context, c stream.Command) (stream.Result, error) {
	a := c.(stream.Append)
	before := bytes.Clone(a.Body.Data)
	for range 50 { // others read theirs meanwhile
		if want := bytes.Repeat(before[:1], len(before)); !bytes.Equal(a.Body.Data, want) {
			w.t.Errorf("a body of %d %q became %.40q", len(before), before[:1], a.Body.Data)
			break
		}
	}
	return stream.Result{Outcome: stream.Outcome{Next: stream.Offset{Pos: uint64(len(before))}}}, nil
}

// Buffers for bodies are shared by appends one after the other, never at a time.
func TestBodiesOfAppendsDoNotMix(t *testing.T) {
	w := judgingWriter{t: t}
	s, err := httpapi.New(httpapi.Config{}, w, w, w, w)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := range 200 {
				n := 1 + (i*7919+c*131)%5000
				r := request(http.MethodPost, "/v1/stream/s", strings.Repeat(fmt.Sprint(c), n), "Content-Type", "text/plain")
				if i%10 == 9 {
					r.ContentLength = -1 // chunked: no length is known
				}
				answer := &sink{header: http.Header{}}
				s.ServeHTTP(answer, r)
				if got, want := answer.header.Get("Stream-Next-Offset"), (stream.Offset{Pos: uint64(n)}).String(); got != want {
					t.Errorf("an append of %d bytes was answered with %q, want %q", n, got, want)
				}
			}
		})
	}
	wg.Wait()
}

// The append path of this package: what is allocated for one must not creep up.
func TestAppendAllocatesLittle(t *testing.T) {
	w := instant{}
	s, err := httpapi.New(httpapi.Config{}, w, w, w, w)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		contentType string
		body        string
		most        float64
	}{
		"bytes":       {"application/octet-stream", strings.Repeat("x", 256), 4},
		"large bytes": {"application/octet-stream", strings.Repeat("x", 64<<10), 4},
		"JSON":        {"application/json", `{"a":"` + strings.Repeat("x", 240) + `"}`, 6},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(http.MethodPost, "/v1/stream/s", test.body, "Content-Type", test.contentType)
			body := strings.NewReader("")
			r.Body = io.NopCloser(body)
			answer := &sink{header: http.Header{}}
			got := testing.AllocsPerRun(200, func() {
				body.Reset(test.body)
				clear(answer.header)
				s.ServeHTTP(answer, r)
			})
			t.Logf("%v allocations", got)
			if got > test.most {
				t.Fatalf("%v allocations for an append, at most %v are due", got, test.most)
			}
		})
	}
}
