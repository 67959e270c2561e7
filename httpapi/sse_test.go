package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"mainstem/httpapi"
	"mainstem/stream"
)

// event is what an event stream says, decoded by the rules of the HTML standard
// and nothing of ours.
type event struct{ kind, data string }

type control struct {
	StreamNextOffset string
	StreamCursor     string
	UpToDate         bool
	StreamClosed     bool
}

func parseEvents(s string) (events []event) {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	var e event
	var data []string
	for _, line := range strings.Split(s, "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				e.data = strings.Join(data, "\n")
				events = append(events, e)
			}
			e, data = event{}, nil
		case field == "event":
			e.kind = value
		case field == "data":
			data = append(data, value)
		case field != "":
			events = append(events, event{"unexpected field", line})
		}
	}
	return events
}

// pairs checks that each data event is followed by exactly one control event,
// but for the one that tells of a later closing, and returns both lists.
func pairs(t testing.TB, body string) (data []string, controls []control) {
	t.Helper()
	before := ""
	for _, e := range parseEvents(body) {
		switch e.kind {
		case "data":
			if before == "data" {
				t.Fatalf("two data events in a row: %.300q", body)
			}
			data = append(data, e.data)
		case "control":
			var c control
			decoder := json.NewDecoder(strings.NewReader(e.data))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&c); err != nil {
				t.Fatalf("control event %q: %v", e.data, err)
			}
			if before == "control" && !c.StreamClosed {
				t.Fatalf("two control events in a row: %.300q", body)
			}
			controls = append(controls, c)
		default:
			t.Fatalf("event %+v", e)
		}
		before = e.kind
	}
	if before == "data" {
		t.Fatalf("the last data event has no control event: %.300q", body)
	}
	return data, controls
}

func TestSSEFollowsAStreamToItsEnd(t *testing.T) { onAllPaths(t, testSSEFollowsAStreamToItsEnd) }

func testSSEFollowsAStreamToItsEnd(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		at := n.apply(true, create("s", "application/json", `[{"a":1},{"b":2}]`))
		s := n.serve(httpapi.Config{})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		defer leave()
		synctest.Wait()
		a.want(t, 200, "Content-Type", "text/event-stream", "Cache-Control", "no-cache", "X-Accel-Buffering", "no",
			"Content-Length", "", "Stream-Sse-Data-Encoding", "", "X-Content-Type-Options", "nosniff",
			"Stream-Next-Offset", "0000000000000001_0000000000000000")
		data, controls := pairs(t, a.text())
		if want := []string{`[{"a":1},{"b":2}]`}; !reflect.DeepEqual(data, want) {
			t.Fatalf("got %q, want %q", data, want)
		}
		if want := (control{at.String(), "0", true, false}); controls[0] != want {
			t.Fatalf("got %+v, want %+v", controls[0], want)
		}

		n.apply(true, appendTo("s", "application/json", `"c"`))
		synctest.Wait()
		last := appendTo("s", "application/json", "{\n \"d\": 4\r\n}")
		last.Close = true
		end := n.apply(true, last)
		synctest.Wait()
		data, controls = pairs(t, a.text())
		if want := []string{`[{"a":1},{"b":2}]`, `["c"]`, "[{\n \"d\": 4\n}]"}; !reflect.DeepEqual(data, want) {
			t.Fatalf("got %q, want %q", data, want)
		}
		if got, want := controls[2], (control{end.String(), "", true, true}); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if !a.ended() {
			t.Fatal("the connection outlives its stream")
		}
	})
}

func TestSSEOfAClosedStreamEndsAtOnce(t *testing.T) { onAllPaths(t, testSSEOfAClosedStreamEndsAtOnce) }

func testSSEOfAClosedStreamEndsAtOnce(t *testing.T, newNode nodeMaker) {
	n := newNode(t)
	c := create("s", text, "all")
	c.Closed = true
	end := n.apply(true, c)
	s := n.serve(httpapi.Config{})
	for _, offset := range []string{end.String(), "now"} {
		a := do(s, http.MethodGet, "/v1/stream/s?live=sse&offset="+offset, "")
		a.want(t, 200, "Stream-Closed", "true", "Stream-Up-To-Date", "true")
		data, controls := pairs(t, a.text())
		if want := []control{{end.String(), "", true, true}}; data != nil || !reflect.DeepEqual(controls, want) {
			t.Fatalf("got %q and %+v, want %+v", data, controls, want)
		}
	}
}

func TestSSECatchesUpInChunksAndGoesLive(t *testing.T) {
	onAllPaths(t, testSSECatchesUpInChunksAndGoesLive)
}

func testSSECatchesUpInChunksAndGoesLive(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, stream.Create{Name: "s", ContentType: "application/octet-stream"})
		var want []byte
		for i := range 50 {
			piece := []byte{byte(i), byte(i >> 3), '\n'}
			want = append(want, piece...)
			n.apply(true, stream.Append{Name: "s", ContentType: "application/octet-stream", Body: stream.Payload{Data: piece}})
		}
		s := n.serve(httpapi.Config{ChunkBytes: 10})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse&cursor=70")
		defer leave()
		synctest.Wait()
		a.want(t, 200, "Stream-Sse-Data-Encoding", "base64")
		data, controls := pairs(t, a.text())
		var got []byte
		for i, d := range data {
			piece, err := base64.StdEncoding.DecodeString(d)
			if err != nil || len(piece) > 10 {
				t.Fatalf("event %q: %v", d, err)
			}
			got = append(got, piece...)
			// A reader that leaves here comes back with this offset.
			at := fmt.Sprintf("_%016d", len(got))
			if next := controls[i].StreamNextOffset; !strings.HasSuffix(next, at) {
				t.Fatalf("after %d bytes: got the offset %s, want …%s", len(got), next, at)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for i, c := range controls {
			if c.UpToDate != (i == len(controls)-1) || c.StreamCursor != "71" || c.StreamClosed {
				t.Fatalf("control %d of %d: %+v", i, len(controls), c)
			}
		}
	})
}

func TestSSEEndsAfterItsIntervalAndResumes(t *testing.T) {
	onAllPaths(t, testSSEEndsAfterItsIntervalAndResumes)
}

func testSSEEndsAfterItsIntervalAndResumes(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, stream.Create{Name: "s", ContentType: text})
		s := n.serve(httpapi.Config{SSEReconnectInterval: time.Minute, Jitter: func(max int) int { return max / 2 }})
		begin := time.Now()
		var got []string
		offset := "-1"
		for connection := range 5 {
			a, leave := start(s, http.MethodGet, "/v1/stream/s?live=sse&offset="+offset)
			for range 4 {
				time.Sleep(13 * time.Second)
				n.apply(true, appendTo("s", text, fmt.Sprint(len(got), "+", connection, ";")))
			}
			time.Sleep(5*time.Second + 1)
			if !a.ended() {
				t.Fatalf("the connection still lives after %v", time.Since(begin))
			}
			leave()
			n.apply(true, appendTo("s", text, "between;"))
			data, controls := pairs(t, a.text())
			got = append(got, data...)
			offset = controls[len(controls)-1].StreamNextOffset
		}
		whole := do(s, http.MethodGet, "/v1/stream/s", "").text()
		rest := do(s, http.MethodGet, "/v1/stream/s?offset="+offset, "").text()
		if read := strings.Join(got, "") + rest; read != whole || len(whole) == 0 {
			t.Fatalf("got %q, want %q", read, whole)
		}
	})
}

func TestSSEKeepsSilentConnectionsAlive(t *testing.T) {
	onAllPaths(t, testSSEKeepsSilentConnectionsAlive)
}

func testSSEKeepsSilentConnectionsAlive(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, stream.Create{Name: "s", ContentType: text})
		s := n.serve(httpapi.Config{SSEKeepAlive: 15 * time.Second})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=now&live=sse")
		defer leave()
		synctest.Wait()
		before := len(a.text())
		time.Sleep(46 * time.Second)
		if got := a.text()[before:]; got != ":\n:\n:\n" {
			t.Fatalf("got %q, want three comments", got)
		}
		n.apply(true, appendTo("s", text, "data"))
		synctest.Wait()
		if data, controls := pairs(t, a.text()); len(data) != 1 || len(controls) != 2 {
			t.Fatalf("got %q and %+v", data, controls)
		}
	})
}

func TestSSECutsASlowReader(t *testing.T) { onAllPaths(t, testSSECutsASlowReader) }

func testSSECutsASlowReader(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, stream.Create{Name: "s", ContentType: text})
		s := n.serve(httpapi.Config{})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=now&live=sse")
		defer leave()
		synctest.Wait()
		a.mu.Lock()
		a.stuck = make(chan struct{})
		a.mu.Unlock()
		time.Sleep(15*time.Second + 30*time.Second + 1) // a comment that cannot be written
		if !a.ended() {
			t.Fatal("the connection outlives its reader")
		}
	})
}

func TestSSEOfADeletedStreamEndsCleanly(t *testing.T) {
	onAllPaths(t, testSSEOfADeletedStreamEndsCleanly)
}

func testSSEOfADeletedStreamEndsCleanly(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, create("s", text, "x"))
		s := n.serve(httpapi.Config{})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		defer leave()
		synctest.Wait()
		n.apply(true, stream.Delete{Name: "s"})
		synctest.Wait()
		if !a.ended() {
			t.Fatal("the connection outlives its stream")
		}
		pairs(t, a.text())
		do(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse", "").want(t, 404)
	})
}

// TestSSENeverCutsACharacter appends a text byte by byte and in pieces that end
// anywhere: every event must be UTF-8 by itself, and nothing may be missing.
func TestSSENeverCutsACharacter(t *testing.T) { onAllPaths(t, testSSENeverCutsACharacter) }

func testSSENeverCutsACharacter(t *testing.T, newNode nodeMaker) {
	const line = "häß €uro 漢字 🙂🙃 end\n"
	for size := 1; size <= 7; size++ {
		for name, live := range map[string]bool{"stored": false, "live": true} {
			t.Run(fmt.Sprint(name, " in pieces of ", size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNode(t)
					n.apply(true, stream.Create{Name: "s", ContentType: "text/plain; charset=utf-8"})
					whole := strings.Repeat(line, 20)
					write := func() {
						for rest := whole; rest != ""; {
							k := min(size, len(rest))
							n.apply(true, appendTo("s", text, rest[:k]))
							rest = rest[k:]
							if live {
								time.Sleep(10 * time.Millisecond)
							}
						}
						n.apply(true, stream.Append{Name: "s", Close: true})
					}
					if !live {
						write()
					}
					s := n.serve(httpapi.Config{ChunkBytes: 20})
					a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
					defer leave()
					if live {
						synctest.Wait()
						write()
					}
					time.Sleep(time.Second)
					data, _ := pairs(t, a.text())
					for _, d := range data {
						if !utf8.ValidString(d) {
							t.Fatalf("event %q is not UTF-8", d)
						}
					}
					if got := strings.Join(data, ""); got != whole || !a.ended() {
						t.Fatalf("got %.300q, want %.300q", got, whole)
					}
				})
			})
		}
	}
}

// TestSSEHoldsHalfACharacterOnlyForAMoment is the other side: what is no UTF-8,
// or stays half, is delivered all the same.
func TestSSEHoldsHalfACharacterOnlyForAMoment(t *testing.T) {
	onAllPaths(t, testSSEHoldsHalfACharacterOnlyForAMoment)
}

func testSSEHoldsHalfACharacterOnlyForAMoment(t *testing.T, newNode nodeMaker) {
	for name, contentType := range map[string]stream.ContentType{
		"unlabelled": "text/plain", "latin-1": "text/plain; charset=iso-8859-1",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				n.apply(true, create("s", contentType, "whole"), appendTo("s", contentType, "caf\xe9"))
				tail := n.apply(true, appendTo("s", contentType, "caf\xe9"))
				s := n.serve(httpapi.Config{})
				a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
				defer leave()
				synctest.Wait()
				if held := !strings.HasSuffix(strings.TrimSpace(a.text()), `"upToDate":true}`); held != (name == "unlabelled") {
					t.Fatalf("held back: %v: %q", held, a.text())
				}
				time.Sleep(1100 * time.Millisecond)
				data, controls := pairs(t, a.text())
				if got, want := strings.Join(data, ""), "wholecaf\xe9caf\xe9"; got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				last := controls[len(controls)-1]
				if !last.UpToDate || last.StreamNextOffset != tail.String() {
					t.Fatalf("got %+v, want the tail %v", last, tail)
				}
			})
		})
	}
}

// TestReadersOfOneEventKeepTheirOwnCursors: what they share must not make one
// speak with the other's voice.
func TestReadersOfOneEventKeepTheirOwnCursors(t *testing.T) {
	onAllPaths(t, testReadersOfOneEventKeepTheirOwnCursors)
}

func testReadersOfOneEventKeepTheirOwnCursors(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, stream.Create{Name: "s", ContentType: "application/octet-stream"})
		s := n.serve(httpapi.Config{})
		answers := map[string]*answer{}
		for _, cursor := range []string{"", "70", "123456", "0"} {
			a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=now&live=sse&cursor="+cursor)
			defer leave()
			answers[cursor] = a
		}
		synctest.Wait()
		want := []string(nil)
		for i := range 5 {
			payload := []byte{0xff, byte(i)}
			n.apply(true, stream.Append{Name: "s", ContentType: "application/octet-stream", Close: i == 4, Body: stream.Payload{Data: payload}})
			want = append(want, base64.StdEncoding.EncodeToString(payload))
			synctest.Wait()
		}
		for cursor, next := range map[string]string{"": "0", "70": "71", "123456": "123457", "0": "1"} {
			data, controls := pairs(t, answers[cursor].text())
			if !reflect.DeepEqual(data, want) || !answers[cursor].ended() {
				t.Errorf("cursor %q: got %q, want %q", cursor, data, want)
			}
			for i, c := range controls[:len(controls)-1] {
				if c.StreamCursor != next || !c.UpToDate {
					t.Errorf("cursor %q, control %d: %+v, want %s", cursor, i, c, next)
				}
			}
		}
	})
}
