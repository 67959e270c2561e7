package httpapi_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
)

// linesOf collects what is logged.
type linesOf struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *linesOf) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// requests are the lines about requests, decoded.
func (l *linesOf) requests(t *testing.T) (list []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m["msg"] == "request" {
			list = append(list, m)
		}
	}
	return list
}

func TestEachRequestIsOneLineAtDebugUnderTheTelemetryNames(t *testing.T) {
	var out linesOf
	n := newNode(t)
	s := n.serve(httpapi.Config{Log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), LongPollTimeout: time.Millisecond})
	for _, c := range []struct {
		method, target, body string
		want                 map[string]any
	}{
		{http.MethodPut, "/v1/stream/gid://app/R/1", "", map[string]any{"ds.operation": "create", "http.response.status_code": 201.0, "ds.stream_id": "gid://app/R/1"}},
		{http.MethodPost, "/v1/stream/gid://app/R/1?token=swordfish", "abc", map[string]any{"ds.operation": "append", "http.response.status_code": 204.0, "http.request.body.size": 3.0, "url.query": "token=REDACTED"}},
		{http.MethodGet, "/v1/stream/gid://app/R/1?offset=-1&swordfish=1", "", map[string]any{"ds.operation": "read", "http.response.body.size": 3.0, "url.query": "offset=-1&REDACTED", "url.path": "/v1/stream/gid://app/R/1"}},
		{http.MethodHead, "/v1/stream/gid://app/R/1", "", map[string]any{"ds.operation": "head", "http.request.method": "HEAD"}},
		{http.MethodGet, "/v1/stream/none", "", map[string]any{"ds.error_code": "NOT_FOUND", "ds.error_reason": "STREAM_NOT_FOUND", "http.response.status_code": 404.0}},
		{http.MethodGet, "/v1/stream/gid://app/R/1?offset=-1&live=long-poll", "", map[string]any{"ds.operation": "poll", "ds.live_mode": "long-poll"}},
		{http.MethodDelete, "/v1/stream/gid://app/R/1", "", map[string]any{"ds.operation": "delete", "http.response.status_code": 204.0}},
		{http.MethodGet, "/elsewhere", "", map[string]any{"ds.operation": "other", "ds.error_code": "NOT_FOUND"}},
	} {
		before := len(out.requests(t))
		do(s, c.method, c.target, c.body, "Content-Type", "text/plain", "Authorization", "Bearer swordfish")
		lines := out.requests(t)[before:]
		if len(lines) != 1 {
			t.Fatalf("%s %s: %d lines", c.method, c.target, len(lines))
		}
		for name, want := range c.want {
			if got := lines[0][name]; got != want {
				t.Errorf("%s %s: %s is %v, want %v", c.method, c.target, name, got, want)
			}
		}
		if d, ok := lines[0]["event.duration"].(float64); !ok || d <= 0 {
			t.Errorf("%s %s: event.duration is %v", c.method, c.target, lines[0]["event.duration"])
		}
	}
	if strings.Contains(out.b.String(), "swordfish") {
		t.Errorf("a credential is in the log:\n%s", out.b.String())
	}
}

// A connection that is taken over is told when it ends, with all that was sent.
func TestAnSSEConnectionIsOneLineWhenItEnds(t *testing.T) {
	onAllPaths(t, func(t *testing.T, make nodeMaker) {
		synctest.Test(t, func(t *testing.T) {
			var out linesOf
			n := make(t)
			n.apply(true, create("s", text, "x"))
			s := n.serve(httpapi.Config{Log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse&token=swordfish")
			defer leave()
			time.Sleep(5 * time.Second)
			if lines := out.requests(t); len(lines) != 0 {
				t.Fatalf("told before it ended: %v", lines)
			}
			s.Drain()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if !a.ended() {
				t.Fatal("it did not end")
			}
			lines := out.requests(t)
			if len(lines) != 1 {
				t.Fatalf("%d lines", len(lines))
			}
			for name, want := range map[string]any{"ds.operation": "subscribe", "ds.live_mode": "sse", "ds.stream_id": "s", "url.query": "offset=-1&live=sse&token=REDACTED", "http.response.status_code": 200.0} {
				if got := lines[0][name]; got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
			if d, sent := lines[0]["event.duration"].(float64), lines[0]["http.response.body.size"].(float64); d < 5e9 || sent == 0 {
				t.Errorf("it lasted %v ns, and %v bytes were sent", d, sent)
			}
		})
	})
}
