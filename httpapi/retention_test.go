package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

func atPos(pos uint64) string { return stream.Offset{Incarnation: 1, Pos: pos}.String() }

// letters makes a stream of five appends of ten bytes, a to e.
func letters(t *testing.T, s *httpapi.Server, headers ...string) {
	t.Helper()
	do(s, "PUT", base+"s", "", append(headers, "Content-Type", "text/plain")...).want(t, 201)
	for _, c := range "abcde" {
		do(s, "POST", base+"s", strings.Repeat(string(c), 10), "Content-Type", "text/plain").want(t, 204)
	}
}

func TestATrimmedStreamAnswers410BeforeItsHorizon(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	letters(t, s)
	do(s, "GET", base+"s", "").want(t, 200, "Stream-Retention-Horizon", "")
	do(s, "HEAD", base+"s", "").want(t, 200, "Stream-Retention-Horizon", "")
	do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(30)).want(t, 204, "Stream-Retention-Horizon", atPos(30), "Stream-Next-Offset", atPos(50))
	do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(10)).want(t, 204, "Stream-Retention-Horizon", atPos(30)) // it never goes back
	for _, query := range []string{"", "&live=long-poll", "&live=sse"} {
		for _, pos := range []uint64{0, 10, 29} {
			a := do(s, "GET", base+"s?offset="+atPos(pos)+query, "")
			a.want(t, 410, "Stream-Retention-Horizon", atPos(30), "Content-Type", "application/problem+json", "Cache-Control", "no-store")
			if !strings.Contains(a.text(), `"TRIMMED"`) {
				t.Fatalf("got %s", a.text())
			}
		}
	}
	// The start is where the stream begins by now, and says so.
	for _, query := range []string{"", "?offset=-1", "?offset=0000000000000000_0000000000000000", "?offset=" + atPos(30), "?offset=-1&live=long-poll"} {
		a := do(s, "GET", base+"s"+query, "")
		a.want(t, 200, "Stream-Retention-Horizon", atPos(30), "Stream-Next-Offset", atPos(50))
		if a.text() != strings.Repeat("d", 10)+strings.Repeat("e", 10) {
			t.Fatalf("%q: got %q", query, a.text())
		}
	}
	do(s, "HEAD", base+"s", "").want(t, 200, "Stream-Retention-Horizon", atPos(30))
	do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(35)).want(t, 400) // in the middle of an append
	do(s, "PUT", base+"f", "", "Stream-Forked-From", base+"s", "Stream-Fork-Offset", atPos(20)).want(t, 410, "Stream-Retention-Horizon", atPos(30))
	do(s, "PUT", base+"f", "", "Stream-Forked-From", base+"s", "Stream-Fork-Offset", atPos(40)).want(t, 201)
	do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(50)).want(t, 204)
	if got := do(s, "GET", base+"f", "").text(); got != strings.Repeat("d", 10) {
		t.Fatalf("the fork holds %q", got)
	}
	do(s, "GET", base+"s?offset=-1", "").want(t, 200, "Stream-Next-Offset", atPos(50), "Stream-Up-To-Date", "true")
}

// A client that has what is trimmed is told so, and not that nothing has changed.
func TestATagOfTrimmedDataIsNoMatch(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	letters(t, s)
	tag := do(s, "GET", base+"s?offset="+atPos(20), "").header.Get("ETag")
	do(s, "GET", base+"s?offset="+atPos(20), "", "If-None-Match", tag).want(t, 304)
	do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(30)).want(t, 204)
	do(s, "GET", base+"s?offset="+atPos(20), "", "If-None-Match", tag).want(t, 410)
	all := do(s, "GET", base+"s", "").header.Get("ETag")
	do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(40)).want(t, 204)
	do(s, "GET", base+"s", "", "If-None-Match", all).want(t, 200)
}

func TestRetentionIsPartOfAStreamsConfiguration(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	config := []string{"Stream-Retention-Bytes", "100", "Stream-Retention-Age", "60"}
	do(s, "PUT", base+"s", "", config...).want(t, 201)
	do(s, "PUT", base+"s", "", config...).want(t, 200)
	do(s, "HEAD", base+"s", "").want(t, 200, "Stream-Retention-Bytes", "100", "Stream-Retention-Age", "60")
	do(s, "PUT", base+"s", "").want(t, 409)
	do(s, "PUT", base+"s", "", config[:2]...).want(t, 409)
	do(s, "PUT", base+"s", "", "Stream-Retention-Bytes", "101", "Stream-Retention-Age", "60").want(t, 409)
	for _, bad := range []string{"0", "-1", "x", "01", "", "99999999999999999999"} {
		do(s, "PUT", base+"x", "", "Stream-Retention-Bytes", bad).want(t, 400)
		do(s, "PUT", base+"x", "", "Stream-Retention-Age", bad).want(t, 400)
	}
	if got := do(s, "GET", "/v1/streams", "").text(); !strings.Contains(got, `"retention_bytes":100,"retention_age_seconds":60}`) {
		t.Errorf("listed as %s", got)
	}
}

// A tail that has read everything is not disturbed by what goes behind it.
func TestLiveReadersAtTheTailOutliveATrim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newNode(t).serve(httpapi.Config{})
		stop := run(s)
		defer stop()
		letters(t, s)
		poll, cancel := start(s, "GET", base+"s?offset="+atPos(50)+"&live=long-poll")
		defer cancel()
		events, leave := start(s, "GET", base+"s?offset="+atPos(40)+"&live=sse")
		defer leave()
		synctest.Wait()
		do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(50)).want(t, 204)
		synctest.Wait()
		if poll.ended() || events.ended() {
			t.Fatalf("a trim ended them: %v, %v", poll.ended(), events.ended())
		}
		do(s, "POST", base+"s", "more", "Content-Type", "text/plain").want(t, 204)
		time.Sleep(time.Second)
		synctest.Wait()
		if !poll.ended() || poll.text() != "more" {
			t.Errorf("the poll got %q", poll.text())
		}
		if got := events.text(); !strings.Contains(got, "data:eeeeeeeeee\n") || !strings.Contains(got, "data:more\n") {
			t.Errorf("the events are %q", got)
		}
	})
}

// What was in memory for those who follow is not served before the horizon either.
func TestChunksInMemoryAreBehindTheHorizonToo(t *testing.T) {
	n := newNode(t)
	s := n.serve(httpapi.Config{ChunkBytes: 100 << 10})
	do(s, "PUT", base+"s", "", "Content-Type", "text/plain").want(t, 201)
	for range 8 {
		do(s, "POST", base+"s", strings.Repeat("x", 50<<10), "Content-Type", "text/plain").want(t, 204)
	}
	for range 3 { // the third comes from memory
		do(s, "GET", fmt.Sprint(base, "s?offset=", atPos(50<<10)), "").want(t, 200)
	}
	do(s, "PATCH", base+"s", "", "Stream-Retention-Horizon", atPos(100<<10)).want(t, 204)
	do(s, "GET", fmt.Sprint(base, "s?offset=", atPos(50<<10)), "").want(t, 410)
}
