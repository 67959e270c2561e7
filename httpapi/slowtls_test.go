package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"mainstem/httpapi"
)

// TestAReaderThatTakesNothingOverTLSIsCut, on HTTP/2 too, where one connection
// carries its stream beside others: those go on, and the connection with them.
func TestAReaderThatTakesNothingOverTLSIsCut(t *testing.T) {
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			n := newNode(t)
			n.apply(true, create("s", text, strings.Repeat("x", 32<<20))) // more than networks and windows hold
			s := n.serve(httpapi.Config{SlowReaderTimeout: 100 * time.Millisecond, ChunkBytes: 64 << 20})
			server := httptest.NewUnstartedServer(s)
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			client := server.Client()
			slow, err := client.Get(server.URL + "/v1/stream/s?offset=-1&live=sse")
			if err != nil {
				t.Fatal(err)
			}
			defer slow.Body.Close()
			if slow.Proto != proto {
				t.Fatalf("got %s, want %s", slow.Proto, proto)
			}
			const cut = `mainstem_slow_readers_cut_total{reason="deadline"} 1`
			for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
				if strings.Contains(do(s, http.MethodGet, "/metrics", "").text(), cut) {
					break
				}
				if time.Now().After(end) {
					t.Fatal("a reader that takes nothing is not cut")
				}
			}
			reused := false
			trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
			r, err := http.NewRequestWithContext(trace, http.MethodHead, server.URL+"/v1/stream/s", nil)
			if err != nil {
				t.Fatal(err)
			}
			quick, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer quick.Body.Close()
			if reused != http2 {
				t.Errorf("the connection is used again: %v, want %v", reused, http2)
			}
			if quick.StatusCode != http.StatusOK {
				t.Fatalf("got %s after another was cut", quick.Status)
			}
		})
	}
}
