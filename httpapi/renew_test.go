package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

func TestWhoRenews(t *testing.T) { onAllPaths(t, testWhoRenews) }

func testWhoRenews(t *testing.T, newNode nodeMaker) {
	get := http.MethodGet
	for name, r := range map[string]struct {
		method, query string
		ttl           int
		age           time.Duration // of the stream when it is read
		headers       []string
		touches       int // in the log before the answer
		expires       int
		status        int
	}{
		"get of a short window":             {get, "", 5, 0, nil, 1, 0, 200},
		"get late in a short window":        {get, "", 5, 4900 * time.Millisecond, nil, 1, 0, 200},
		"get past a short window":           {get, "", 5, 5 * time.Second, nil, 1, 0, 404},
		"get early in a long window":        {get, "", 100, 0, nil, 0, 0, 200},
		"get at three quarters":             {get, "", 100, 75 * time.Second, nil, 0, 0, 200},
		"get in the last quarter":           {get, "", 100, 76 * time.Second, nil, 1, 0, 200},
		"get past a long window":            {get, "", 100, 100 * time.Second, nil, 1, 0, 404},
		"now":                               {get, "?offset=now", 5, time.Second, nil, 1, 0, 200},
		"304":                               {get, "", 5, time.Second, []string{"If-None-Match", "*"}, 1, 0, 304},
		"long-poll":                         {get, "?offset=-1&live=long-poll", 5, time.Second, nil, 1, 0, 200},
		"sse":                               {get, "?offset=-1&live=sse", 5, time.Second, nil, 1, 0, 200},
		"get of a stream without a window":  {get, "", -1, time.Hour, nil, 0, 0, 200},
		"get of a window of nothing":        {get, "", 0, 0, nil, 1, 0, 404},
		"head":                              {http.MethodHead, "", 5, 4900 * time.Millisecond, nil, 0, 0, 200},
		"head past the window":              {http.MethodHead, "", 5, 5 * time.Second, nil, 0, 1, 404},
		"local get past the window":         {get, "", 5, 5 * time.Second, local, 0, 0, 200},
		"local head past the window":        {http.MethodHead, "", 5, 5 * time.Second, local, 0, 0, 200},
		"a get that is refused by itself":   {get, "?offset=9999999999999999_0000000000000000", 5, 0, nil, 0, 0, 400},
		"a get of a stream that is missing": {get, "/x", 5, 0, nil, 0, 0, 404},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				c := create("s", text, "data")
				if r.ttl >= 0 {
					c = withTTL(c, r.ttl)
				}
				n.apply(true, c)
				s := n.serve(httpapi.Config{SSEReconnectInterval: time.Millisecond})
				time.Sleep(r.age)
				do(s, r.method, "/v1/stream/s"+r.query, "", r.headers...).want(t, r.status)
				if _, touches, expires := n.counts(); touches != r.touches || expires != r.expires {
					t.Fatalf("got %d touches and %d expires, want %d and %d", touches, expires, r.touches, r.expires)
				}
			})
		})
	}
}

func TestAFixedEndIsAskedAboutAndNotMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		at := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
		lifetime, err := stream.ParseLifetime(nil, &at)
		if err != nil {
			t.Fatal(err)
		}
		c := create("s", text, "data")
		c.Lifetime = lifetime
		n.apply(true, c)
		s := n.serve(httpapi.Config{})
		time.Sleep(59 * time.Second)
		do(s, http.MethodGet, "/v1/stream/s", "").want(t, 200)
		if _, touches, _ := n.counts(); touches != 0 {
			t.Fatalf("got %d touches of a stream that cannot be renewed", touches)
		}
		time.Sleep(time.Second)
		do(s, http.MethodGet, "/v1/stream/s", "").want(t, 404)
	})
}

// TestNoNodeDecidesExpiryByItsClock reads through a node whose clock is ahead:
// the log, whose time is the leader's, says that the stream lives.
func TestNoNodeDecidesExpiryByItsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, withTTL(create("s", text, "data"), 20))
		s := n.serve(httpapi.Config{Now: func() time.Time { return time.Now().Add(time.Minute) }})
		do(s, http.MethodHead, "/v1/stream/s", "").want(t, 200)
		do(s, http.MethodGet, "/v1/stream/s", "").want(t, 200)
		if _, touches, expires := n.counts(); touches != 1 || expires != 1 {
			t.Fatalf("got %d touches and %d expires, want 1 of each", touches, expires)
		}
	})
}

func TestCollectedReadsAreOneTouchPerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		for i := range 3 {
			n.apply(true, withTTL(create(stream.Name(fmt.Sprint("s", i)), text, "data"), 100))
		}
		s := n.serve(httpapi.Config{})
		stop := run(s)
		for range 50 {
			for i := range 3 {
				do(s, http.MethodGet, fmt.Sprint("/v1/stream/s", i), "").want(t, 200)
			}
		}
		time.Sleep(1100 * time.Millisecond)
		if _, touches, _ := n.counts(); touches != 3 {
			t.Fatalf("got %d touches after an interval, want 3", touches)
		}
		do(s, http.MethodGet, "/v1/stream/s0", "").want(t, 200)
		stop()
		if _, touches, _ := n.counts(); touches != 4 {
			t.Fatalf("got %d touches after the end, want 4: the last one is not lost", touches)
		}
	})
}

func TestARenewalThatFailedIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, withTTL(create("s", text, "data"), 100))
		s := n.serve(httpapi.Config{})
		defer run(s)()
		do(s, http.MethodGet, "/v1/stream/s", "").want(t, 200)
		n.failWrites(errors.New("no leader"))
		time.Sleep(2500 * time.Millisecond)
		n.failWrites(nil)
		before, _, _ := n.Info("s")
		time.Sleep(time.Second)
		after, _, _ := n.Info("s")
		if after.Deadline <= before.Deadline {
			t.Fatalf("got deadline %d, not later than %d", after.Deadline, before.Deadline)
		}
		_, touches, _ := n.counts()
		time.Sleep(3 * time.Second)
		if _, again, _ := n.counts(); again != touches {
			t.Fatalf("got %d more touches after one had succeeded", again-touches)
		}
	})
}

// TestLiveReadersKeepTheirStreamAlive connects many readers to streams whose
// window is shorter and longer than what is collected, without any data.
func TestLiveReadersKeepTheirStreamAlive(t *testing.T) {
	onAllPaths(t, testLiveReadersKeepTheirStreamAlive)
}

func testLiveReadersKeepTheirStreamAlive(t *testing.T, newNode nodeMaker) {
	for name, seconds := range map[string]int{"short": 1, "long": 12} {
		for _, query := range []string{"?offset=-1&live=sse", "?offset=now&live=long-poll"} {
			t.Run(name+query, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNode(t)
					n.apply(true, withTTL(stream.Create{Name: "s", ContentType: text}, seconds))
					s := n.serve(httpapi.Config{LongPollTimeout: 50 * time.Second})
					defer run(s)()
					defer sweep(n)()
					const readers = 20
					var answers []*answer
					for range readers {
						a, leave := start(s, http.MethodGet, "/v1/stream/s"+query)
						defer leave()
						answers = append(answers, a)
					}
					time.Sleep(40 * time.Second)
					for _, a := range answers {
						if a.ended() {
							t.Fatalf("a reader was cut off: %d %s", a.status, a.text())
						}
					}
					if _, ok, err := n.Info("s"); !ok || err != nil {
						t.Fatal("the stream has expired under its readers")
					}
					most := readers + 2*4*40/seconds // one at each start, and about one for all each quarter
					if _, touches, _ := n.counts(); touches > most {
						t.Fatalf("got %d touches, want at most %d for %d readers", touches, most, readers)
					}
				})
			})
		}
	}
}

func TestAStreamWithoutReadersExpires(t *testing.T) { onAllPaths(t, testAStreamWithoutReadersExpires) }

func testAStreamWithoutReadersExpires(t *testing.T, newNode nodeMaker) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, withTTL(stream.Create{Name: "s", ContentType: text}, 2))
		s := n.serve(httpapi.Config{})
		defer run(s)()
		a, leave := start(s, http.MethodGet, "/v1/stream/s?offset=-1&live=sse")
		time.Sleep(10 * time.Second)
		leave()
		synctest.Wait()
		if !a.ended() {
			t.Fatal("the connection outlives its client")
		}
		do(s, http.MethodHead, "/v1/stream/s", "").want(t, 200)
		time.Sleep(2 * time.Second)
		do(s, http.MethodHead, "/v1/stream/s", "").want(t, 404)
	})
}
