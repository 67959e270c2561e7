package httpapi_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

// timedNode tells of stages as a cluster does.
type timedNode struct {
	*node
	asked int
}

func (n *timedNode) SubmitTimed(ctx context.Context, c stream.Command, note func(string, time.Duration)) (stream.Result, error) {
	n.asked++
	note("queue", 1500*time.Microsecond)
	note("forward", 20*time.Millisecond)
	return n.Submit(ctx, c)
}

func TestServerTimingIsToldWhenAskedFor(t *testing.T) {
	n := &timedNode{node: newNode(t)}
	s, err := httpapi.New(httpapi.Config{}, n, n, n, n)
	if err != nil {
		t.Fatal(err)
	}
	do(s, "PUT", base+"s", "", "Content-Type", "text/plain").want(t, 201)
	send := func(body string, headers ...string) *answer {
		return do(s, "POST", base+"s", body, append(headers, "Content-Type", "text/plain")...)
	}
	send("x").want(t, 204, "Server-Timing", "")
	send("x", "Stream-Timing", "false").want(t, 204, "Server-Timing", "")
	if n.asked != 0 {
		t.Fatal("stages were measured for nobody")
	}
	form := regexp.MustCompile(`^queue;dur=1\.500, forward;dur=20\.000, total;dur=\d+\.\d{3}$`)
	for status, a := range map[int]*answer{204: send("x", "Stream-Timing", "true"), 412: send("x", "Stream-Timing", "true", "If-Match", `"-1"`)} {
		a.want(t, status)
		if got := a.header.Get("Server-Timing"); !form.MatchString(got) {
			t.Errorf("%d: got %q", status, got)
		}
	}
	// A writer that cannot tell is no reason to refuse.
	plain := newNode(t).serve(httpapi.Config{})
	do(plain, "PUT", base+"s", "", "Content-Type", "text/plain").want(t, 201)
	do(plain, "POST", base+"s", "x", "Content-Type", "text/plain", "Stream-Timing", "true").want(t, 204, "Server-Timing", "")
}
