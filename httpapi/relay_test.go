package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

// relayed is a node whose SSE connections are taken over, and take so many bytes
// at a time.
func relayed(tb testing.TB, most int) *node {
	n := newNode(tb)
	n.takeOver = func(w http.ResponseWriter, wake func()) (httpapi.Line, error) {
		return takeLine(w.(*answer), most, wake), nil
	}
	return n
}

// TestATakenConnectionSaysThatItIsNotReused, and one that may not be taken does
// not: net/http could not go on with it.
func TestATakenConnectionSaysThatItIsNotReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := relayed(t, 1<<30)
		n.apply(true, create("s", text, "x"))
		s := n.serve(httpapi.Config{})
		for proto, want := range map[string]string{"HTTP/1.1": "close", "HTTP/1.0": "", "HTTP/2.0": ""} {
			ctx, leave := context.WithCancel(context.Background())
			r := request(http.MethodGet, "/v1/stream/s?offset=-1&live=sse", "").WithContext(ctx)
			r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(proto)
			a := newAnswer()
			a.left = ctx
			go s.ServeHTTP(a, r)
			synctest.Wait()
			a.want(t, 200, "Connection", want)
			if taken := a.line != nil; taken != (want == "close") {
				t.Errorf("%s: taken over: %v", proto, taken)
			}
			leave()
		}
	})
}

// TestWhatCannotBeTakenOverIsServedAllTheSame.
func TestWhatCannotBeTakenOverIsServedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.takeOver = func(http.ResponseWriter, func()) (httpapi.Line, error) { return nil, errNoLine }
		n.apply(true, create("s", text, "x"))
		s := n.serve(httpapi.Config{})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		defer leave()
		synctest.Wait()
		n.apply(true, appendTo("s", text, "y"))
		synctest.Wait()
		if data, _ := pairs(t, a.text()); strings.Join(data, "") != "xy" {
			t.Fatalf("got %q", data)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Fatalf("close: %v", err)
		}
	})
}

// TestCloseWaitsForTakenConnections: they end with the last chunk of their bodies
// once the server drains, and are cut when that takes too long.
func TestCloseWaitsForTakenConnections(t *testing.T) {
	for name, stuck := range map[string]bool{"that end": false, "that are stuck": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := relayed(t, 1<<30)
				n.apply(true, create("s", text, "x"))
				s := n.serve(httpapi.Config{})
				a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
				defer leave()
				synctest.Wait()
				if stuck {
					a.mu.Lock()
					a.stuck = make(chan struct{})
					a.mu.Unlock()
				}
				s.Drain()
				begin := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				err := s.Close(ctx)
				took := time.Since(begin)
				synctest.Wait()
				if !a.ended() {
					t.Fatal("the connection outlives the server")
				}
				if stuck != (err != nil) || stuck != (took >= 5*time.Second) || stuck == a.line.last {
					t.Fatalf("got %v after %v, last chunk: %v", err, took, a.line.last)
				}
				if err := s.Close(context.Background()); err != nil {
					t.Fatalf("close again: %v", err)
				}
			})
		})
	}
}

// TestAStuckReaderHoldsUpNobody: others of its stream go on, it is cut in time,
// and what it did not take is not kept for it.
func TestAStuckReaderHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := relayed(t, 1<<30)
		n.apply(true, stream.Create{Name: "s", ContentType: text})
		s := n.serve(httpapi.Config{})
		slow, leaveSlow := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		defer leaveSlow()
		quick, leaveQuick := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		defer leaveQuick()
		synctest.Wait()
		slow.mu.Lock()
		slow.stuck = make(chan struct{})
		slow.mu.Unlock()
		for i := range 29 {
			n.apply(true, appendTo("s", text, fmt.Sprint(i, ";")))
			synctest.Wait()
			if data, _ := pairs(t, quick.text()); len(data) != i+1 {
				t.Fatalf("got %d events, want %d", len(data), i+1)
			}
			time.Sleep(time.Second)
		}
		if slow.ended() {
			t.Fatal("cut too early")
		}
		time.Sleep(time.Second + 1)
		synctest.Wait()
		if !slow.ended() || quick.ended() {
			t.Fatalf("slow ended: %v, quick ended: %v", slow.ended(), quick.ended())
		}
		shows(t, s, `mainstem_slow_readers_cut_total{reason="deadline"} 1`)
	})
}

// TestReadersThatAreBehindHoldABoundedBacklog: what was read for one of them alone
// and not taken counts, and with more than there is room for the connection ends.
func TestReadersThatAreBehindHoldABoundedBacklog(t *testing.T) {
	for room, cut := range map[int64]int{1 << 20: 0, 450: 1} {
		synctest.Test(t, func(t *testing.T) {
			n := relayed(t, 97)
			n.apply(true, stream.Create{Name: "s", ContentType: text})
			s := n.serve(httpapi.Config{OutgoingBytesMax: room})
			a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=now&live=sse")
			defer leave()
			synctest.Wait()
			a.mu.Lock()
			a.stuck = make(chan struct{})
			a.mu.Unlock()
			for range 3 {
				n.apply(true, appendTo("s", text, strings.Repeat("x", 200)))
				synctest.Wait() // the first is shared by all that follow the stream, and counts for nobody
			}
			a.mu.Lock()
			a.stuck = nil
			a.mu.Unlock()
			a.line.wake()
			synctest.Wait()
			if got := strings.Count(a.text(), strings.Repeat("x", 200)); a.ended() != (cut == 1) || got != 3-2*cut {
				t.Fatalf("with room for %d: ended: %v, after %d events", room, a.ended(), got)
			}
			shows(t, s, fmt.Sprintf(`mainstem_slow_readers_cut_total{reason="backlog"} %d`, cut))
			shows(t, s, "mainstem_outgoing_bytes 0")
		})
	}
}

// TestAReaderThatRecoversMissesNothing: it takes nothing for a while, and then all.
func TestAReaderThatRecoversMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := relayed(t, 1<<30)
		n.apply(true, stream.Create{Name: "s", ContentType: text})
		s := n.serve(httpapi.Config{ChunkBytes: 50})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		defer leave()
		synctest.Wait()
		var want strings.Builder
		for range 10 {
			a.mu.Lock()
			a.stuck = make(chan struct{})
			a.mu.Unlock()
			for i := range 30 {
				fmt.Fprint(&want, i, ",")
				n.apply(true, appendTo("s", text, fmt.Sprint(i, ",")))
			}
			synctest.Wait()
			a.mu.Lock()
			a.stuck = nil
			a.mu.Unlock()
			a.line.wake()
			synctest.Wait()
			data, _ := pairs(t, a.text())
			if got := strings.Join(data, ""); got != want.String() {
				t.Fatalf("got %q, want %q", got, want.String())
			}
		}
	})
}

// TestManyReadersOfManyStreams come and go while all streams grow: nobody misses
// anything or gets it twice, and nothing is left behind.
func TestManyReadersOfManyStreams(t *testing.T) {
	const streams, readers, rounds = 7, 140, 60
	synctest.Test(t, func(t *testing.T) {
		n := relayed(t, 301)
		for i := range streams {
			n.apply(true, stream.Create{Name: stream.Name(fmt.Sprint(i)), ContentType: text})
		}
		s := n.serve(httpapi.Config{})
		type reader struct {
			*answer
			leave  func()
			stream int
			begin  int // round in which it came
		}
		var all []reader
		for round := range rounds {
			for i := range streams {
				n.apply(true, appendTo(stream.Name(fmt.Sprint(i)), text, fmt.Sprint(round, ";")))
			}
			if round%20 == 0 {
				for i := range readers {
					a, leave := start(s, http.MethodGet, fmt.Sprintf("/v1/stream/%d?offset=now&live=sse", i%streams))
					all = append(all, reader{a, leave, i % streams, round})
				}
				synctest.Wait()
			}
			if round%3 == 0 {
				all[round].leave()
			}
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		for i, r := range all {
			data, _ := pairs(t, r.text())
			got := strings.Join(data, "")
			var want strings.Builder
			for round := r.begin + 1; round < rounds; round++ {
				fmt.Fprint(&want, round, ";")
			}
			left := i%3 == 0 && i < rounds
			if left != r.ended() {
				t.Fatalf("reader %d ended: %v", i, r.ended())
			}
			if !left && got != want.String() || !strings.HasPrefix(want.String(), got) {
				t.Fatalf("reader %d: got %q, want %q", i, got, want.String())
			}
			r.leave()
		}
		synctest.Wait()
		m := do(s, http.MethodGet, "/metrics", "").text()
		for _, line := range []string{
			`mainstem_live_readers{mode="sse"} 0`,
			fmt.Sprintf(`mainstem_http_requests_total{code="200",operation="sse"} %d`, len(all)),
		} {
			if !strings.Contains(m, line) {
				t.Errorf("no %s in the metrics", line)
			}
		}
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// trap makes reads of a stream do something first.
func (n *node) trap(name stream.Name, f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.traps = map[stream.Name]func(){name: f}
}

// TestAReadThatTakesLongHoldsUpNobody: the disk may be slow for one stream.
func TestAReadThatTakesLongHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := relayed(t, 1<<30)
		n.apply(true, stream.Create{Name: "slow", ContentType: text}, stream.Create{Name: "s", ContentType: text})
		s := n.serve(httpapi.Config{})
		var all []*answer
		for _, name := range []string{"slow", "slow", "s", "s"} {
			a, leave := start(s, http.MethodGet, "/v1/stream/"+name+"?offset=-1&live=sse")
			defer leave()
			all = append(all, a)
		}
		synctest.Wait()
		disk := make(chan struct{})
		n.trap("slow", func() { <-disk })
		n.apply(true, appendTo("slow", text, "late"))
		synctest.Wait()
		n.apply(true, appendTo("s", text, "now"))
		synctest.Wait()
		for i, a := range all {
			if data, _ := pairs(t, a.text()); len(data) != i/2 {
				t.Errorf("reader %d has %q", i, data)
			}
		}
		close(disk)
		synctest.Wait()
		if data, _ := pairs(t, all[0].text()); len(data) != 1 {
			t.Errorf("the slow one has %q", data)
		}
	})
}

// TestAPanicEndsOneConnection and not the process.
func TestAPanicEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := relayed(t, 1<<30)
		n.apply(true, stream.Create{Name: "bad", ContentType: text}, stream.Create{Name: "s", ContentType: text})
		s := n.serve(httpapi.Config{})
		bad, leaveBad := start(s, http.MethodGet, "/v1/stream/bad?offset=-1&live=sse")
		defer leaveBad()
		good, leaveGood := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		defer leaveGood()
		synctest.Wait()
		n.trap("bad", func() { panic("a bug") })
		n.apply(true, appendTo("bad", text, "x"), appendTo("s", text, "y"))
		synctest.Wait()
		if data, _ := pairs(t, good.text()); len(data) != 1 || good.ended() {
			t.Fatalf("the good one has %q", data)
		}
		if !bad.ended() || bad.line.last {
			t.Fatal("the bad one is still there, or ended as if all was well")
		}
	})
}
