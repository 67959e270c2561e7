package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mainstem/auth"
	"mainstem/httpapi"
	"mainstem/stream"
)

// slowLog holds every write until it is let go.
type slowLog struct {
	instant
	came chan struct{}
	free chan struct{}
}

func (w slowLog) Submit(context.Context, stream.Command) (stream.Result, error) {
	w.came <- struct{}{}
	<-w.free
	return stream.Result{}, nil
}

// TestWhatIsInFlightIsBounded: a write that finds no room is refused before its
// body is read, and there is room again when the others are answered.
func TestWhatIsInFlightIsBounded(t *testing.T) {
	const fit, bytes = 3, 100_000
	log := slowLog{came: make(chan struct{}, fit), free: make(chan struct{})}
	s, err := httpapi.New(httpapi.Config{InFlightBytesMax: fit * (bytes + 9000)}, log, log, log, log)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (*answer, *endless) {
		body := &endless{left: bytes}
		r := request("POST", "/v1/stream/s", "x", "Content-Type", "application/octet-stream")
		r.Body, r.ContentLength = io.NopCloser(body), bytes
		return doRequest(s, r), body
	}
	var all sync.WaitGroup
	for range fit {
		all.Go(func() {
			a, _ := ask()
			if a.status != 204 {
				t.Errorf("got %d %s", a.status, a.text())
			}
		})
		<-log.came
	}
	a, body := ask()
	a.want(t, 503, "Retry-After", "1", "Content-Type", "application/problem+json")
	if !strings.Contains(a.text(), "TOO_MUCH_IN_FLIGHT") || body.read > 0 {
		t.Fatalf("%d bytes were read, and %s", body.read, a.text())
	}
	shows(t, s, `mainstem_http_refused_total{reason="TOO_MUCH_IN_FLIGHT"} 1`)
	close(log.free)
	all.Wait()
	shows(t, s, "mainstem_in_flight_bytes 0")
	if a, _ := ask(); a.status != 204 {
		t.Fatalf("got %d %s", a.status, a.text())
	}
}

// TestABodyOfUnknownLengthTakesRoomAsItGrows.
func TestABodyOfUnknownLengthTakesRoomAsItGrows(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{InFlightBytesMax: 100_000})
	do(s, "PUT", "/v1/stream/s", "", "Content-Type", "application/octet-stream").want(t, 201)
	body := &endless{left: 10 << 20}
	r := request("POST", "/v1/stream/s", "x", "Content-Type", "application/octet-stream")
	r.Body, r.ContentLength = io.NopCloser(body), -1
	doRequest(s, r).want(t, 503, "Retry-After", "1")
	if body.read > 100_000 {
		t.Fatalf("%d bytes were read", body.read)
	}
	shows(t, s, "mainstem_in_flight_bytes 0")
}

// TestEachClientHasItsOwnRate, by who it is or else by where it comes from.
func TestEachClientHasItsOwnRate(t *testing.T) {
	n := newNode(t)
	now := time.Unix(1_900_000_000, 0)
	n.now = func() time.Time { return now }
	gate, ann := gateWith(t, []string{"read"}, "**")
	s := n.serve(httpapi.Config{ClientRequests: 2, Access: gate})
	from := func(s http.Handler, addr, key string) *answer {
		r := request("GET", "/v1/stream/none", "")
		r.RemoteAddr = addr
		if key != "" {
			r.Header.Set("Authorization", key)
		}
		return doRequest(s, r)
	}
	from(s, "192.0.2.1:1", ann).want(t, 404)
	from(s, "192.0.2.2:1", ann).want(t, 404)
	from(s, "192.0.2.3:1", ann).want(t, 429, "Retry-After", "1")
	do(s, "GET", "/livez", "").want(t, 200)
	now = now.Add(500 * time.Millisecond)
	from(s, "192.0.2.3:1", ann).want(t, 404)
	from(s, "192.0.2.3:1", ann).want(t, 429)
	shows(t, s, `mainstem_http_refused_total{reason="REQUEST_RATE"} 2`)

	open := n.serve(httpapi.Config{ClientRequests: 1})
	for _, c := range []struct {
		addr   string
		status int
	}{
		{"192.0.2.1:1", 404}, {"192.0.2.1:2", 429}, {"192.0.2.2:1", 404},
		{"[2001:db8::1]:1", 404}, {"[2001:db8::ffff:1]:1", 429}, {"[2001:db8:0:1::1]:1", 404}, // one network is one client
		{"[::ffff:192.0.2.2]:1", 429},
	} {
		if a := from(open, c.addr, ""); a.status != c.status {
			t.Errorf("%s: got %d, want %d", c.addr, a.status, c.status)
		}
	}
}

// nobody is let in without being told from others.
type nobody struct{}

func (nobody) Admit(*http.Request) (*auth.Identity, *auth.Refusal) { return &auth.Identity{}, nil }

// TestTheTableOfClientsIsBounded: the one that was not seen for longest is forgotten.
func TestTheTableOfClientsIsBounded(t *testing.T) {
	n := newNode(t)
	now := time.Unix(1_900_000_000, 0)
	n.now = func() time.Time { return now }
	s := n.serve(httpapi.Config{ClientRequests: 1, Access: nobody{}})
	ask := func(i int) int {
		r := request("GET", "/v1/stream/none", "")
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)
		return doRequest(s, r).status
	}
	ask(0)
	if got := ask(0); got != 429 {
		t.Fatalf("got %d", got)
	}
	for i := 1; i <= 16384; i++ {
		ask(i)
	}
	if got := ask(16384); got != 429 {
		t.Fatalf("the newest is forgotten: %d", got)
	}
	if got := ask(0); got != 403 {
		t.Fatalf("the oldest is remembered: %d", got)
	}
}

// TestBytesOfAClientAreBoundedBothWays: of a body whose length is known before it
// is read, of all else afterwards, and then the next request waits.
func TestBytesOfAClientAreBoundedBothWays(t *testing.T) {
	n := newNode(t)
	now := time.Unix(1_900_000_000, 0)
	n.now = func() time.Time { return now }
	s := n.serve(httpapi.Config{ClientBytes: 1000, BodyBytesMax: 4000})
	put := func(length, announced int64) (*answer, *endless) {
		body := &endless{left: length}
		r := request("POST", "/v1/stream/s", "x", "Content-Type", "application/octet-stream")
		r.Body, r.ContentLength = io.NopCloser(body), announced
		return doRequest(s, r), body
	}
	do(s, "PUT", "/v1/stream/s", "", "Content-Type", "application/octet-stream").want(t, 201)
	a, _ := put(3500, 3500)
	a.want(t, 204)
	a, body := put(3500, 3500)
	a.want(t, 429, "Retry-After", "4") // 3001 are missing: one for the PUT
	if body.read > 0 {
		t.Fatalf("%d bytes were read", body.read)
	}
	a, _ = put(3500, -1) // the bucket is not empty, and nobody knows
	a.want(t, 204)
	a, _ = put(1, 1)
	a.want(t, 429, "Retry-After", "4")
	now = now.Add(4 * time.Second)
	do(s, "GET", "/v1/stream/s?offset=-1", "").want(t, 200)
	do(s, "HEAD", "/v1/stream/s", "").want(t, 429, "Retry-After", "7")
	shows(t, s, `mainstem_http_refused_total{reason="BYTE_RATE"} 3`)
	now = now.Add(8 * time.Second)
	do(s, "HEAD", "/v1/stream/s", "").want(t, 200)
}

// TestAnswersThatNoReaderTakesAreBounded: a read that finds no room for what it
// has read is refused, and an SSE connection ends.
func TestAnswersThatNoReaderTakesAreBounded(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", "application/octet-stream", strings.Repeat("x", 200_000)))
	s := n.serve(httpapi.Config{OutgoingBytesMax: 100_000})
	a := do(s, "GET", "/v1/stream/s?offset=-1", "")
	a.want(t, 503, "Retry-After", "1")
	if !strings.Contains(a.text(), "TOO_MUCH_OUTGOING") {
		t.Fatalf("got %s", a.text())
	}
	a = do(s, "GET", "/v1/stream/s?offset=-1&live=sse", "")
	if a.want(t, 200); a.text() != "" {
		t.Fatalf("got %d bytes", len(a.text()))
	}
	shows(t, s, `mainstem_slow_readers_cut_total{reason="backlog"} 1`)
	shows(t, s, "mainstem_outgoing_bytes 0")
}
