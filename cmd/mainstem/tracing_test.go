package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is an OTLP receiver, as a collector is one.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex // guards what follows
	raw    bytes.Buffer
	spans  []received
	refuse int // so many requests are answered 503 first
	header http.Header
}

// received is one span and the node that it is of.
type received struct {
	*tracepb.Span
	node string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		body, err := io.ReadAll(req.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || req.Method != http.MethodPost || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("no OTLP: %s %s, %v", req.Method, req.URL.Path, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.refuse > 0 {
			r.refuse--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.header = req.Header
		r.raw.Write(body)
		for _, of := range data.ResourceSpans {
			node := ""
			for _, a := range of.Resource.Attributes {
				if a.Key == "service.instance.id" {
					node = a.Value.GetStringValue()
				}
			}
			for _, scope := range of.ScopeSpans {
				for _, s := range scope.Spans {
					r.spans = append(r.spans, received{s, node})
				}
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// of returns the spans of a trace.
func (r *receiver) of(trace string) (found []received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if hex.EncodeToString(s.TraceId) == trace {
			found = append(found, s)
		}
	}
	return found
}

// named returns the span of a name, of one node if that is not "".
func named(spans []received, name, node string) (received, bool) {
	for _, s := range spans {
		if s.Name == name && (node == "" || s.node == node) {
			return s, true
		}
	}
	return received{}, false
}

func (s received) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// TestATraceFollowsAnAppendOverTheHopToTheLeader is the whole way: a caller's
// traceparent, a span of the node that was asked, one of the batch there, one of
// the leader, and a receiver that decodes what is sent to it.
func TestATraceFollowsAnAppendOverTheHopToTheLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("three nodes take seconds")
	}
	spans := newReceiver(t)
	spans.refuse = 1
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	ports := freeAddresses(t, 9)
	clients, peers, gossip := ports[:3], ports[3:6], ports[6:]
	for i, id := range []string{"a", "b", "c"} {
		launch(t, "serve", "--node-id", id, "--data-dir", t.TempDir(), "--addr", clients[i], "--peer-addr", peers[i],
			"--gossip-addr", gossip[i], "--join", strings.Join(gossip, ","), "--bootstrap-expect", "3", "--otlp-endpoint", spans.URL)
	}
	for _, addr := range clients {
		eventually(t, addr+" ready", func() bool { code, _ := get(t, "http://"+addr+"/readyz"); return code == http.StatusOK })
	}
	mustDo(t, http.MethodPut, "http://"+clients[0]+"/v1/stream/s", "text/plain", "", http.StatusCreated)
	const caller = "00f067aa0ba902b7"
	for i, asked := range []string{"a", "b", "c"} {
		trace := strings.Repeat(string("123"[i]), 32)
		req, err := http.NewRequest(http.MethodPost, "http://"+clients[i]+"/v1/stream/s?token=swordfish", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"text/plain"}, "Authorization": {"Bearer swordfish"}, "Traceparent": {"00-" + trace + "-" + caller + "-01"}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNoContent {
			t.Fatalf("got %d", res.StatusCode)
		}
		var request, batch, proposal received
		eventually(t, "a span of the request, of its batch, and of the leader that proposed it", func() bool {
			found := spans.of(trace)
			var has [3]bool
			request, has[0] = named(found, "append", "")
			if batch, has[1] = named(found, "batch", ""); has[1] {
				proposal, has[2] = named(found, "propose", batch.attribute("mainstem.leader"))
			}
			return has == [3]bool{true, true, true}
		})
		if got := hex.EncodeToString(request.ParentSpanId); got != caller {
			t.Errorf("the request's parent is %s, want the caller's %s", got, caller)
		}
		if !bytes.Equal(batch.ParentSpanId, request.SpanId) || !bytes.Equal(proposal.ParentSpanId, batch.SpanId) {
			t.Errorf("the spans are no chain: %v, %v, %v", request, batch, proposal)
		}
		if request.node != asked || batch.node != asked {
			t.Errorf("spans of %s and %s, want both of %s", request.node, batch.node, asked)
		}
		if batch.attribute("mainstem.leader") == "" {
			t.Error("the batch does not say who led")
		}
		for name, want := range map[string]string{"ds.operation": "append", "ds.stream_id": "s", "http.request.method": "POST", "url.path": "/v1/stream/s", "url.query": "token=REDACTED"} {
			if got := request.attribute(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	spans.mu.Lock()
	defer spans.mu.Unlock()
	if spans.refuse != 0 {
		t.Error("nothing was refused once: that it is sent again is not shown")
	}
	if bytes.Contains(spans.raw.Bytes(), []byte("swordfish")) {
		t.Error("a credential is in the spans")
	}
	for _, s := range spans.spans {
		if s.attribute("url.path") == "/readyz" {
			t.Error("a probe is traced")
		}
	}
}

// A caller that is not traced is not, at a share of 0, and one that is, is.
func TestTheShareOfTracesIsForThoseWhoDoNotSay(t *testing.T) {
	spans := newReceiver(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	_, base := devWith(t, []string{"DS_OBSERVABILITY__OTLP_HEADERS=X-Key=swordfish"}, "--otlp-endpoint", spans.URL, "--trace-share", "0")
	mustDo(t, http.MethodPut, base+"/unsaid", "text/plain", "", http.StatusCreated)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	req, err := http.NewRequest(http.MethodHead, base+"/unsaid", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	eventually(t, "the span of the caller that asked for it", func() bool { return len(spans.of(trace)) == 1 })
	spans.mu.Lock()
	defer spans.mu.Unlock()
	if len(spans.spans) != 1 {
		t.Errorf("got %d spans, want 1", len(spans.spans))
	}
	if got := spans.header.Get("X-Key"); got != "swordfish" {
		t.Errorf("got X-Key %q", got)
	}
}

// A receiver that is not there holds up nobody, neither requests nor the stop.
func TestAReceiverThatIsAwayIsToldOnceAndHoldsUpNobody(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	p, base := dev(t, "--otlp-endpoint", away.URL, "--log-level", "warn")
	for range 20 {
		asks(t, http.MethodPut, base+"/s", "")
	}
	eventually(t, "a word of it", func() bool { return strings.Contains(p.stderr.String(), "spans were not sent") })
	p.signal()
	if code := p.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if n := strings.Count(p.stderr.String(), "msg=\"spans were not sent\""); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}
