package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"mainstem/httpapi"
	"mainstem/stream"
)

const jsonType stream.ContentType = "application/json"

// stateEvent is a change, as long as a writer would make it.
func stateEvent(key string) string {
	return `{"type":"user","key":"` + key + `","value":{"n":1},"headers":{"operation":"insert"}}`
}

// shown returns the key of each event in a body and the offset that it shows.
func shown(t testing.TB, body string) (keys, offsets []string) {
	t.Helper()
	var events []struct {
		Key     string
		Headers struct{ Operation, Offset string }
	}
	if err := json.Unmarshal([]byte(body), &events); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, e := range events {
		keys, offsets = append(keys, e.Key), append(offsets, e.Headers.Offset)
	}
	return keys, offsets
}

// TestStateOffsetsChangeNothingButBodies: headers but for the length are the same
// as without, and what a cache has kept stays good.
func TestStateOffsetsChangeNothingButBodies(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", jsonType, stateEvent("1")))
	n.apply(true, appendTo("s", jsonType, "["+stateEvent("2")+","+stateEvent("3")+"]"), appendTo("s", jsonType, `{"plain":7}`))
	off, on := n.serve(httpapi.Config{}), n.serve(httpapi.Config{StateOffsets: true})
	const path = "/v1/stream/s?offset=-1"
	stored := do(off, http.MethodGet, path, "")
	stored.want(t, 200)
	if n.endLooks != 0 {
		t.Fatalf("%d looks for the ends of appends that nobody wants to see", n.endLooks)
	}
	a := do(on, http.MethodGet, path, "")
	a.want(t, 200, "Content-Length", strconv.Itoa(len(a.text())))
	for key := range stored.header {
		if got, want := a.header.Get(key), stored.header.Get(key); got != want && key != "Content-Length" {
			t.Errorf("got %s %q, want %q", key, got, want)
		}
	}
	if len(a.header) != len(stored.header) || a.header.Get("ETag") == "" {
		t.Errorf("got headers %v, want those of %v", a.header, stored.header)
	}
	keys, offsets := shown(t, a.text())
	if got := strings.Join(keys, ""); got != "123" || len(keys) != 4 || offsets[3] != "" || offsets[1] != offsets[2] || offsets[0] == offsets[1] {
		t.Fatalf("got %s", a.text())
	}
	for i, want := range map[int]string{0: "23", 1: "", 2: ""} { // who goes on from there misses nothing and repeats nothing
		rest := do(on, http.MethodGet, "/v1/stream/s?offset="+offsets[i], "")
		rest.want(t, 200)
		if keys, _ := shown(t, rest.text()); strings.Join(keys, "") != want {
			t.Errorf("after %s: got %v, want %q", offsets[i], keys, want)
		}
	}
	looks := n.endLooks
	do(on, http.MethodGet, path, "", "If-None-Match", stored.header.Get("ETag")).want(t, 304)
	if n.endLooks != looks {
		t.Error("an answer without a body has looked for the ends of appends")
	}
	if again := do(off, http.MethodGet, path, ""); again.text() != stored.text() {
		t.Fatalf("got %s, want %s", again.text(), stored.text())
	}
}

// TestEveryWayOfReadingShowsStateOffsets: catching up in small chunks, by long-poll, and
// by SSE through net/http and taken from it, as it comes.
func TestEveryWayOfReadingShowsStateOffsets(t *testing.T) {
	for name, tt := range map[string]struct {
		query string
		taken bool
	}{
		"long-poll": {"&live=long-poll", false},
		"SSE":       {"&live=sse", false},
		"SSE taken": {"&live=sse", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				if tt.taken {
					n = relayed(t, 1<<30)
				}
				wants := []string{n.apply(true, create("s", jsonType, stateEvent("0"))).String()}
				for i := 1; i < 4; i++ {
					wants = append(wants, n.apply(true, appendTo("s", jsonType, stateEvent(strconv.Itoa(i)))).String())
				}
				s := n.serve(httpapi.Config{StateOffsets: true, ChunkBytes: 200})
				var got []string
				for from := "-1"; len(got) < len(wants); {
					a := do(s, http.MethodGet, "/v1/stream/s?offset="+from, "")
					a.want(t, 200)
					_, offsets := shown(t, a.text())
					got, from = append(got, offsets...), a.header.Get("Stream-Next-Offset")
				}
				if strings.Join(got, " ") != strings.Join(wants, " ") {
					t.Fatalf("catching up: got %q, want %q", got, wants)
				}
				a, leave := start(s, http.MethodGet, "/v1/stream/s?offset="+wants[3]+tt.query)
				defer leave()
				synctest.Wait()
				want := n.apply(true, appendTo("s", jsonType, "["+stateEvent("4")+","+stateEvent("5")+"]")).String()
				synctest.Wait()
				body := a.text()
				if strings.Contains(tt.query, "sse") {
					data, controls := pairs(t, body)
					body = data[0]
					if at := controls[len(controls)-1].StreamNextOffset; at != want {
						t.Fatalf("got control event at %s, want %s", at, want)
					}
				}
				keys, offsets := shown(t, body)
				if strings.Join(keys, "") != "45" || offsets[0] != want || offsets[1] != want {
					t.Fatalf("got %s, want both at %s", body, want)
				}
			})
		})
	}
}

// TestAStreamThatGoesWhileItsOffsetsAreLookedUpIsGone, and an SSE connection to it
// ends without a word that is wrong.
func TestAStreamThatGoesWhileItsOffsetsAreLookedUpIsGone(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(next stream.Offset) stream.Command
		status int
	}{
		"deleted": {func(stream.Offset) stream.Command { return stream.Delete{Name: "s"} }, 404},
		"trimmed": {func(next stream.Offset) stream.Command { return stream.Trim{Name: "s", To: &next} }, 410},
	} {
		t.Run(name, func(t *testing.T) {
			for _, live := range []string{"", "&live=sse"} {
				n := newNode(t)
				n.apply(true, create("s", jsonType, stateEvent("1")))
				next := n.apply(true, appendTo("s", jsonType, stateEvent("2")))
				s := n.serve(httpapi.Config{StateOffsets: true})
				n.endTrap = func() { n.apply(true, tt.change(next)) }
				a := do(s, http.MethodGet, "/v1/stream/s?offset=-1"+live, "")
				if live == "" {
					a.want(t, tt.status, "ETag", "", "Content-Type", "application/problem+json")
				} else if a.want(t, 200); a.text() != "" {
					t.Fatalf("got %q", a.text())
				}
			}
		})
	}
}

// TestShownOffsetsCountAsOutgoing: what an answer is made longer by is bounded.
func TestShownOffsetsCountAsOutgoing(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", jsonType, stateEvent("1")), create("t", text, strings.Repeat("x", 500)))
	s := n.serve(httpapi.Config{StateOffsets: true, OutgoingBytesMax: 100})
	do(s, http.MethodGet, "/v1/stream/s?offset=-1", "").want(t, 503, "ETag", "")
	looks := n.endLooks
	do(s, http.MethodGet, "/v1/stream/t?offset=-1", "").want(t, 200)
	if n.endLooks != looks {
		t.Error("a stream of text was searched for events")
	}
}
