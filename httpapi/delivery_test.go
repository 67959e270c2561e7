package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

// TestEachDeliveryToAWaitingReaderIsMeasured: one for each change that a reader
// waited for, none for what it found at once, and none for silence.
func TestEachDeliveryToAWaitingReaderIsMeasured(t *testing.T) {
	for name, c := range map[string]struct {
		taken bool
		mode  string
		want  string // after two changes
	}{
		"long-poll":           {false, "long-poll", "1"},
		"sse":                 {false, "sse", "2"},
		"sse, taken over":     {true, "sse", "2"},
		"long-poll, may take": {true, "long-poll", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				if c.taken {
					n = relayed(t, 1<<30)
				}
				n.apply(true, create("s", text, "old"))
				s := n.serve(httpapi.Config{LongPollTimeout: time.Hour, SSEReconnectInterval: time.Hour})
				a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=now&live="+c.mode)
				defer leave()
				synctest.Wait()
				shows(t, s, "mainstem_live_delivery_seconds_count 0")
				for _, data := range []string{"first", "second"} {
					time.Sleep(40 * time.Second) // with a comment to keep the connection alive
					n.apply(true, appendTo("s", text, data))
					synctest.Wait()
				}
				if !strings.Contains(a.text(), "first") {
					t.Fatalf("got %q", a.text())
				}
				shows(t, s, "mainstem_live_delivery_seconds_count "+c.want)
				shows(t, s, "mainstem_live_delivery_seconds_sum 0") // virtual time stands still meanwhile
			})
		})
	}
}

func TestWhatTheRulesOfProducersDecideIsCounted(t *testing.T) {
	n := newNode(t)
	s := n.serve(httpapi.Config{})
	n.apply(true, stream.Create{Name: "s", ContentType: text})
	append := func(epoch, seq string, status int) {
		t.Helper()
		do(s, http.MethodPost, "/v1/stream/s", "x", "Content-Type", "text/plain",
			"Producer-Id", "p", "Producer-Epoch", epoch, "Producer-Seq", seq).want(t, status)
	}
	append("1", "0", 200)
	append("1", "0", 204)
	append("1", "0", 204)
	append("0", "0", 403)
	append("1", "7", 409)
	shows(t, s, "mainstem_producer_duplicates_total 2")
	shows(t, s, "mainstem_producer_fences_total 1")
}

// shows wants a line in the metrics.
func shows(t *testing.T, s *httpapi.Server, line string) {
	t.Helper()
	all := do(s, http.MethodGet, "/metrics", "").text()
	if !strings.Contains(all, "\n"+line+"\n") {
		name, _, _ := strings.Cut(line, " ")
		at := strings.Index(all, "\n"+name)
		t.Fatalf("want %q, got %.80q", line, all[max(at, 0):])
	}
}
