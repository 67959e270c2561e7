package httpapi_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"mainstem/httpapi"
	"mainstem/stream"
)

func TestADamagedCopyIsNotRead(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", text, "data"))
	damaged := make(chan struct{})
	s := n.serve(httpapi.Config{Damaged: damaged})
	do(s, "GET", "/v1/stream/s?offset=-1", "").want(t, 200)
	do(s, "GET", "/readyz", "").want(t, 200)
	close(damaged)
	for _, target := range []string{"/readyz", "/v1/stream/s", "/v1/stream/s?offset=-1", "/v1/stream/s?offset=now", "/v1/stream/none",
		"/v1/stream/s?offset=now&live=long-poll", "/v1/stream/s?offset=-1&live=sse"} {
		a := do(s, "GET", target, "")
		a.want(t, 503, "Retry-After", "1", "Cache-Control", "no-store", "Content-Type", "application/problem+json", "ETag", "")
		if !strings.Contains(a.text(), "REPLICA_DAMAGED") {
			t.Fatalf("%s: got %s", target, a.text())
		}
	}
	do(s, "GET", "/v1/stream/s?offset=-1", "", "Stream-Read-Consistency", "local").want(t, 503)
	do(s, "HEAD", "/v1/stream/s", "").want(t, 503, "Retry-After", "1")

	do(s, "POST", "/v1/stream/s", "more", "Content-Type", "text/plain").want(t, 204)
	do(s, "PUT", "/v1/stream/t", "", "Content-Type", "text/plain").want(t, 201)
	do(s, "DELETE", "/v1/stream/t", "").want(t, 204)
	do(s, "GET", "/livez", "").want(t, 200)
	do(s, "GET", "/metrics", "").want(t, 200)
	do(s, "GET", "/v1/cluster/status", "").want(t, 200)
}

// The request that finds the damage is told to go elsewhere, as all after it.
func TestTheReadThatFindsDamageGoesElsewhere(t *testing.T) {
	n := newNode(t)
	damaged := make(chan struct{})
	s, err := httpapi.New(httpapi.Config{Damaged: damaged}, n, n, breaking{n, damaged}, n)
	if err != nil {
		t.Fatal(err)
	}
	a := do(s, "GET", "/v1/stream/s?offset=-1", "")
	a.want(t, 503)
	if !strings.Contains(a.text(), "REPLICA_DAMAGED") {
		t.Fatalf("got %s", a.text())
	}
}

// breaking finds damage at the first read.
type breaking struct {
	*node
	damaged chan struct{}
}

func (b breaking) Read(stream.Name, stream.From, int) (stream.Chunk, error) {
	close(b.damaged)
	return stream.Chunk{}, errBlock
}

type blockError struct{}

func (blockError) Error() string { return "a block does not check" }

var errBlock = blockError{}

func TestLiveReadersLeaveADamagedCopyQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		end := n.apply(true, create("s", text, "data"))
		damaged := make(chan struct{})
		var log bytes.Buffer
		s := n.serve(httpapi.Config{Damaged: damaged, Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer run(s)()
		poll, cancelPoll := start(s, "GET", "/v1/stream/s?live=long-poll&offset="+end.String())
		defer cancelPoll()
		tail, cancelTail := start(s, "GET", "/v1/stream/s?live=sse&offset=-1")
		defer cancelTail()
		synctest.Wait()
		if poll.ended() || tail.ended() {
			t.Fatal("they ended too early")
		}
		close(damaged)
		synctest.Wait()
		if !poll.ended() || !tail.ended() {
			t.Fatalf("long-poll ended %v, SSE ended %v", poll.ended(), tail.ended())
		}
		poll.want(t, 503, "Retry-After", "1", "Stream-Up-To-Date", "")
		tail.want(t, 200)
		if log.Len() > 0 {
			t.Fatalf("it was logged: %s", log.String())
		}
	})
}
