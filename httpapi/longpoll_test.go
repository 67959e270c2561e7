package httpapi_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

func TestLongPollWakesOnData(t *testing.T) {
	for name, offset := range map[string]string{"tail": "0000000000000001_0000000000000001", "now": "now"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				n.apply(true, create("s", text, "a"))
				s := n.serve(httpapi.Config{})
				a, leave := start(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset="+offset)
				defer leave()
				time.Sleep(7 * time.Second)
				if a.ended() {
					t.Fatalf("answered with nothing to say: %d", a.status)
				}
				tail := n.apply(true, appendTo("s", text, "b"))
				synctest.Wait()
				if !a.ended() {
					t.Fatal("still waiting")
				}
				a.want(t, 200, "Stream-Next-Offset", tail.String(), "Stream-Up-To-Date", "true", "Stream-Cursor", "0", "Stream-Closed", "")
				if a.text() != "b" {
					t.Fatalf("got %q", a.text())
				}
				if hasTag := a.header.Get("ETag") != ""; hasTag == (offset == "now") {
					t.Fatalf("got ETag %q and cache control %q for %s", a.header.Get("ETag"), a.header.Get("Cache-Control"), offset)
				}
			})
		})
	}
}

func TestLongPollEndsAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		tail := n.apply(true, create("s", text, "a"))
		s := n.serve(httpapi.Config{LongPollTimeout: 3 * time.Second})
		begin := time.Now()
		a := do(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset="+tail.String()+"&cursor=8", "")
		if took := time.Since(begin); took != 3*time.Second {
			t.Fatalf("took %v", took)
		}
		a.want(t, 204, "Stream-Next-Offset", tail.String(), "Stream-Up-To-Date", "true", "Stream-Cursor", "9",
			"Cache-Control", "no-store", "Stream-Closed", "", "X-Content-Type-Options", "nosniff")
	})
}

// TestALate204IsTrue lets data arrive that the copy learns of only by the fence
// at the end of the poll.
func TestALate204IsTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := laggingNode(t)
		tail := n.apply(true, create("s", text, "a"))
		behind := n.behind
		s := n.serve(httpapi.Config{LongPollTimeout: 3 * time.Second})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset="+tail.String())
		defer leave()
		synctest.Wait()
		n.mu.Lock()
		n.behind = behind // it falls behind again, after the fence of the start
		n.mu.Unlock()
		n.apply(false, appendTo("s", text, "late"))
		time.Sleep(4 * time.Second)
		a.want(t, 200, "Stream-Up-To-Date", "true")
		if fences, _, _ := n.counts(); a.text() != "late" || fences != 2 {
			t.Fatalf("got %q after %d fences", a.text(), fences)
		}
	})
}

func TestALate204NeedsALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		tail := n.apply(true, create("s", text, "a"))
		s := n.serve(httpapi.Config{LongPollTimeout: 3 * time.Second})
		a, leave := start(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset="+tail.String())
		defer leave()
		synctest.Wait()
		n.loseLeader(time.Hour)
		time.Sleep(4 * time.Second)
		a.want(t, 503, "Retry-After", "1", "Stream-Up-To-Date", "")
	})
}

func TestLongPollWakesOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		tail := n.apply(true, create("s", text, "a"))
		s := n.serve(httpapi.Config{})
		target := "/v1/stream/s?live=long-poll&offset="
		a, leave := start(s, http.MethodGet, target+tail.String())
		defer leave()
		synctest.Wait()
		n.apply(true, stream.Append{Name: "s", Close: true})
		synctest.Wait()
		a.want(t, 204, "Stream-Closed", "true", "Stream-Up-To-Date", "true", "Stream-Next-Offset", tail.String(), "Stream-Cursor", "")
		for _, offset := range []string{tail.String(), "now"} {
			begin := time.Now()
			do(s, http.MethodGet, target+offset, "").want(t, 204, "Stream-Closed", "true", "Stream-Up-To-Date", "true", "Stream-Next-Offset", tail.String())
			if time.Since(begin) != 0 {
				t.Fatalf("waited %v for more of a closed stream", time.Since(begin))
			}
		}
	})
}

func TestLongPollWakesOnDelete(t *testing.T) {
	for name, status := range map[string]int{"deleted": 404, "soft-deleted": 410} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				tail := n.apply(true, create("s", text, "a"))
				if status == 410 {
					n.apply(true, stream.Create{Name: "fork", Fork: &stream.Fork{Source: "s"}})
				}
				s := n.serve(httpapi.Config{})
				a, leave := start(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset="+tail.String())
				defer leave()
				synctest.Wait()
				n.apply(true, stream.Delete{Name: "s"})
				synctest.Wait()
				a.want(t, status, "Content-Type", "application/problem+json")
			})
		})
	}
}

// TestAClientThatLeavesFreesItsReader shows it by the limit: the place is free
// again.
func TestAClientThatLeavesFreesItsReader(t *testing.T) {
	onAllPaths(t, testAClientThatLeavesFreesItsReader)
}

func testAClientThatLeavesFreesItsReader(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, create("s", text, "a"))
		s := n.serve(httpapi.Config{LiveReadersMax: 2})
		_, leave1 := start(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset=now")
		_, leave2 := start(s, http.MethodGet, "/v1/stream/s?live=sse&offset=now")
		synctest.Wait()
		for _, mode := range []string{"sse", "long-poll"} {
			do(s, http.MethodGet, "/v1/stream/s?live="+mode+"&offset=now", "").want(t, 429, "Retry-After", "1")
		}
		leave1()
		leave2()
		synctest.Wait()
		_, leave3 := start(s, http.MethodGet, "/v1/stream/s?live=sse&offset=now")
		defer leave3()
		a, leave4 := start(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset=now")
		defer leave4()
		synctest.Wait()
		n.apply(true, appendTo("s", text, "b"))
		synctest.Wait()
		a.want(t, 200)
	})
}

func TestDrainEndsLiveReadersAtOnce(t *testing.T) { onAllPaths(t, testDrainEndsLiveReadersAtOnce) }

func testDrainEndsLiveReadersAtOnce(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		tail := n.apply(true, create("s", text, "a"))
		s := n.serve(httpapi.Config{})
		do(s, http.MethodGet, "/readyz", "").want(t, 200)
		poll, leave := start(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset="+tail.String())
		defer leave()
		tailing, leave := start(s, http.MethodGet, "/v1/stream/s?live=sse&offset=-1")
		defer leave()
		synctest.Wait()
		n.loseLeader(time.Hour) // the leader may be the first to stop
		begin := time.Now()
		s.Drain()
		s.Drain()
		synctest.Wait()
		if !poll.ended() || !tailing.ended() || time.Since(begin) != 0 {
			t.Fatalf("long-poll ended: %v, sse ended: %v", poll.ended(), tailing.ended())
		}
		poll.want(t, 204, "Stream-Next-Offset", tail.String(), "Stream-Up-To-Date", "true")
		if _, controls := pairs(t, tailing.text()); len(controls) != 1 {
			t.Fatalf("got %q", tailing.text())
		}

		n.mu.Lock()
		n.fenceErr, n.submitErr = nil, nil
		n.mu.Unlock()
		do(s, http.MethodGet, "/readyz", "").want(t, 503, "Connection", "close")
		do(s, http.MethodGet, "/livez", "").want(t, 200)
		do(s, http.MethodPost, "/v1/stream/s", "b", "Content-Type", "text/plain").want(t, 204, "Connection", "close")
		do(s, http.MethodGet, "/v1/stream/s?live=long-poll&offset=now", "").want(t, 204)
		a := do(s, http.MethodGet, "/v1/stream/s?live=sse&offset=-1", "")
		if data, _ := pairs(t, a.text()); len(data) != 1 || data[0] != "ab" {
			t.Fatalf("got %q", a.text())
		}
	})
}

// TestDrainSpreadsLiveReaders: they end one after the other within the time
// given, and one that data reaches meanwhile gets it.
func TestDrainSpreadsLiveReaders(t *testing.T) { onAllPaths(t, testDrainSpreadsLiveReaders) }

func testDrainSpreadsLiveReaders(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, create("s", text, "a"))
		var turn atomic.Int64
		s := n.serve(httpapi.Config{Jitter: func(most int) int { return int(turn.Add(1)) * most / 100 }})
		var readers []*answer
		for range 20 {
			for _, mode := range []string{"sse", "long-poll"} {
				a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=now&live="+mode)
				defer leave()
				readers = append(readers, a)
			}
		}
		synctest.Wait()
		ended := func() (n int) {
			synctest.Wait()
			for _, a := range readers {
				if a.ended() {
					n++
				}
			}
			return n
		}
		turn.Store(0)
		s.DrainWithin(time.Second)
		if got := ended(); got != 0 {
			t.Fatalf("%d readers ended at once", got)
		}
		for tenth, want := range []int{9, 19, 29, 39, 40} { // their turns come at each hundredth of a second
			time.Sleep(100 * time.Millisecond)
			if got := ended(); got < want || got > want+1 {
				t.Fatalf("%d readers have ended after %d tenths, want %d", got, tenth+1, want)
			}
		}
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=now&live=sse")
		defer leave()
		synctest.Wait()
		n.apply(true, appendTo("s", text, "late"))
		synctest.Wait()
		if data, _ := pairs(t, a.text()); len(data) != 1 || a.ended() {
			t.Fatalf("a reader whose turn is to come got %q, ended %v", data, a.ended())
		}
		time.Sleep(time.Second)
		if ended(); !a.ended() {
			t.Fatal("it stays for ever")
		}
	})
}
