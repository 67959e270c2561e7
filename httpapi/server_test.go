package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mainstem/httpapi"
	"mainstem/stream"
)

func TestNamesAreLiteral(t *testing.T) {
	n := newNode(t)
	s := n.serve(httpapi.Config{})
	paths := []string{
		"a", "a/", "a//b", "a/b", "a%2Fb", "gid://app/Room/1/messages", "gid:/app/Room/1/messages",
		"a%20b", "%C3%A4", "...", "a/.b", "%25", "a;b=c", "(x)", "__dsx", "_ds", "A",
	}
	for _, p := range paths {
		a := do(s, http.MethodPut, "/v1/stream/"+p, p, "Content-Type", "text/plain")
		a.want(t, 201, "Location", "http://example.com/v1/stream/"+p)
	}
	for _, p := range paths {
		if a := do(s, http.MethodGet, "/v1/stream/"+p, ""); a.status != 200 || a.text() != p {
			t.Fatalf("%s: got %d %q", p, a.status, a.text())
		}
	}
	for alias, p := range map[string]string{"%61": "a", "a%2fb": "a%2Fb", "%c3%a4": "%C3%A4", "gid%3A//app/Room/1/messages": "gid://app/Room/1/messages"} {
		if a := do(s, http.MethodGet, "/v1/stream/"+alias, ""); a.status != 200 || a.text() != p {
			t.Fatalf("%s: got %d %q, want the stream %s", alias, a.status, a.text(), p)
		}
	}
	for p, status := range map[string]int{
		"/v1/stream/.": 400, "/v1/stream/a/../b": 400, "/v1/stream/%2e%2E/x": 400, "/v1/stream/": 400,
		"/v1/stream/__ds": 404, "/v1/stream/__ds/subscriptions/x": 404, "/v1/stream/%5F%5Fds/x": 404,
		"/v1/stream": 404, "/v1/streams/x": 404, "/": 404, "//v1/stream/x": 404, "/v1//stream/x": 404,
		"/v1/stream/" + strings.Repeat("x", 1025): 414,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead} {
			do(s, method, p, "", "Stream-Closed", "true").want(t, status, "Content-Type", "application/problem+json", "Cache-Control", "no-store")
		}
	}
}

func TestMethodsOthersThanTheProtocolsGet405(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	for _, method := range []string{http.MethodTrace, "PROPFIND", "BREW"} {
		a := do(s, method, "/v1/stream/s", "")
		a.want(t, 405, "Content-Type", "application/problem+json", "X-Content-Type-Options", "nosniff")
		for _, want := range []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"} {
			if !strings.Contains(a.header.Get("Allow"), want) {
				t.Fatalf("%s: got Allow %q", method, a.header.Get("Allow"))
			}
		}
	}
	do(s, http.MethodPost, "/readyz", "").want(t, 405, "Allow", "OPTIONS, GET, HEAD")
}

func TestProblemsSayWhatWasWrong(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", text, "x"), stream.Append{Name: "s", Close: true})
	s := n.serve(httpapi.Config{})
	a := do(s, http.MethodPost, "/v1/stream/s?token=secret", "[1]", "Content-Type", "application/json", "Origin", "https://app.example")
	a.want(t, 409, "Stream-Closed", "true", "Stream-Next-Offset", "0000000000000001_0000000000000001",
		"X-Content-Type-Options", "nosniff", "Cross-Origin-Resource-Policy", "cross-origin", "Access-Control-Allow-Origin", "*")
	var got map[string]any
	if err := json.Unmarshal([]byte(a.text()), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "about:blank", "title": "Conflict", "status": 409.0, "code": "CONFLICT", "reason": "STREAM_CLOSED",
		"detail": (&stream.Rejection{Code: stream.Closed}).Error(), "instance": "/v1/stream/s",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

type full struct{ error }

func (full) InsufficientStorage() bool { return true }

func TestWritesWithoutDiskSpaceAreRefused(t *testing.T) {
	n := newNode(t)
	n.submitErr = fmt.Errorf("submit: %w", full{errors.New("the disk of n2 is full")})
	s := n.serve(httpapi.Config{})
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		a := do(s, method, "/v1/stream/s", "x", "Content-Type", "text/plain")
		a.want(t, 507, "Retry-After", "5", "Content-Type", "application/problem+json")
		for _, part := range []string{`"reason":"INSUFFICIENT_STORAGE"`, `"code":"UNAVAILABLE"`, `"status":507`, "nothing was written"} {
			if !strings.Contains(a.text(), part) {
				t.Fatalf("got %s, want %s in it", a.text(), part)
			}
		}
	}
	n.submitErr = unknown{n.submitErr} // what may have been written is never said not to be
	do(s, http.MethodPost, "/v1/stream/s", "x", "Content-Type", "text/plain").want(t, 503)
}

type mixed struct{ error }

func (mixed) UpgradeUnfinished() bool { return true }

func TestWhatAnOlderNodeDoesNotKnowIsRefused(t *testing.T) {
	n := newNode(t)
	n.submitErr = fmt.Errorf("submit: %w", mixed{errors.New("n2 understands level 2")})
	s := n.serve(httpapi.Config{})
	a := do(s, http.MethodPost, "/v1/stream/s", "x", "Content-Type", "text/plain")
	a.want(t, 503, "Retry-After", "1", "Content-Type", "application/problem+json")
	for _, part := range []string{`"reason":"UPGRADE_UNFINISHED"`, "nothing was written", "/v1/cluster/status"} {
		if !strings.Contains(a.text(), part) {
			t.Fatalf("got %s, want %s in it", a.text(), part)
		}
	}
}

type unknown struct{ error }

func (unknown) OutcomeUnknown() bool { return true }

func TestWritesThatFailSayWhetherTheyMayHaveHappened(t *testing.T) {
	for name, r := range map[string]struct {
		err    error
		reason string
		says   string
	}{
		"unknown":         {unknown{errors.New("leader lost")}, "OUTCOME_UNKNOWN", "outcome unknown"},
		"unknown, deeper": {fmt.Errorf("submit: %w", unknown{errors.New("leader lost")}), "OUTCOME_UNKNOWN", "outcome unknown"},
		"not written":     {errors.New("no leader"), "NOT_WRITTEN", "nothing was written"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.submitErr = r.err
			s := n.serve(httpapi.Config{})
			for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete} {
				a := do(s, method, "/v1/stream/s", "x", "Content-Type", "text/plain")
				a.want(t, 503, "Retry-After", "1", "Content-Type", "application/problem+json")
				if !strings.Contains(a.text(), `"reason":"`+r.reason+`"`) || !strings.Contains(a.text(), r.says) {
					t.Fatalf("got %s", a.text())
				}
			}
		})
	}
}

// TestAnAppendWhoseRequestIsCancelledIsNotAcknowledged guards against the
// default of net/http: a handler that writes nothing has answered 200.
func TestAnAppendWhoseRequestIsCancelledIsNotAcknowledged(t *testing.T) {
	n := newNode(t)
	n.submitErr = context.Canceled
	s := n.serve(httpapi.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	doRequest(s, request(http.MethodPost, "/v1/stream/s", "x", "Content-Type", "text/plain").WithContext(ctx)).want(t, 503)
	n.fenceErr = context.Canceled
	doRequest(s, request(http.MethodGet, "/v1/stream/s", "").WithContext(ctx)).want(t, 503)
}

// brokenReader is a copy that cannot be read, after some reads that worked.
type brokenReader struct {
	*node
	err    error
	panics bool
	good   *atomic.Int64 // reads that work; nil for none
}

func (b brokenReader) Read(name stream.Name, from stream.From, limit int) (stream.Chunk, error) {
	switch {
	case b.good != nil && b.good.Add(-1) >= 0:
		return b.node.Read(name, from, limit)
	case b.panics:
		panic("a bug")
	}
	return stream.Chunk{}, b.err
}

func (b brokenReader) Follow(name stream.Name) (func(stream.From, int) (stream.Chunk, <-chan struct{}, error), func()) {
	return func(from stream.From, limit int) (stream.Chunk, <-chan struct{}, error) {
		chunk, err := b.Read(name, from, limit)
		return chunk, nil, err
	}, func() {}
}

func (b brokenReader) Info(stream.Name) (stream.Info, bool, error) {
	return stream.Info{}, false, b.err
}

func TestABrokenCopyAndABugAre500(t *testing.T) {
	n := newNode(t)
	for name, reader := range map[string]brokenReader{
		"error": {node: n, err: errors.New("checksum of /var/lib/x differs")},
		"panic": {node: n, err: errors.New("x"), panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := httpapi.New(httpapi.Config{}, n, n, reader, n)
			if err != nil {
				t.Fatal(err)
			}
			a := do(s, http.MethodGet, "/v1/stream/s", "")
			a.want(t, 500, "Content-Type", "application/problem+json")
			if strings.Contains(a.text(), "/var/lib") || strings.Contains(a.text(), "a bug") {
				t.Fatalf("the answer tells a client too much: %s", a.text())
			}
			do(s, http.MethodHead, "/v1/stream/s", "").want(t, 500)
			do(s, http.MethodGet, "/v1/stream/s?live=sse&offset=-1", "").want(t, 500)
		})
	}
}

// TestABugInMidAnswerBreaksTheConnection: half an answer must not look whole.
func TestABugInMidAnswerBreaksTheConnection(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", text, "abc"), appendTo("s", text, "def"))
	good := &atomic.Int64{}
	good.Store(1)
	s, err := httpapi.New(httpapi.Config{ChunkBytes: 3}, n, n, brokenReader{node: n, panics: true, good: good}, n)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(s)
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.Start()
	defer web.Close()
	res, err := http.Get(web.URL + "/v1/stream/s?live=sse&offset=-1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil || !strings.Contains(string(body), "abc") {
		t.Fatalf("got %q and %v, want the first chunk and a broken connection", body, err)
	}
}

// failing is a body that breaks off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBodiesThatBreakOffChangeNothing(t *testing.T) {
	n := newNode(t)
	n.apply(true, stream.Create{Name: "s", ContentType: text})
	s := n.serve(httpapi.Config{})
	for status, err := range map[int]error{400: io.ErrUnexpectedEOF, 408: os.ErrDeadlineExceeded} {
		req := httptest.NewRequest(http.MethodPost, "/v1/stream/s", failing{err})
		req.ContentLength = 5
		req.Header.Set("Content-Type", "text/plain")
		doRequest(s, req).want(t, status)
	}
	if n.submitted != nil {
		t.Fatalf("submitted %v", n.submitted)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	n := newNode(t)
	n.apply(true, stream.Create{Name: "s", ContentType: text})
	const limit = 1000
	s := n.serve(httpapi.Config{BodyBytesMax: limit})
	for name, r := range map[string]struct {
		length  int64 // of the body
		told    int64 // Content-Length, -1 for chunked
		status  int
		readMax int64
	}{
		"fits":               {limit, limit, 204, limit},
		"fits, chunked":      {limit, -1, 204, limit},
		"one too many":       {limit + 1, limit + 1, 413, 0},
		"one too many, chnk": {limit + 1, -1, 413, limit + 1},
		"10 GB chunked":      {10 << 30, -1, 413, 64 << 10},
		"10 GB announced":    {10 << 30, 10 << 30, 413, 0},
		"shorter than told":  {10, 20, 400, 10},
		"empty, chunked":     {0, -1, 400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			body := &endless{left: r.length}
			req := httptest.NewRequest(http.MethodPost, "/v1/stream/s", body)
			req.ContentLength = r.told
			req.Header.Set("Content-Type", "text/plain")
			doRequest(s, req).want(t, r.status)
			if body.read > r.readMax {
				t.Fatalf("read %d bytes, want at most %d", body.read, r.readMax)
			}
		})
	}
	req := request(http.MethodPost, "/v1/stream/s", "x", "Content-Type", "text/plain", "Content-Encoding", "gzip")
	doRequest(s, req).want(t, 415)
}

// TestBodiesOfAllLengthsArriveWhole sends known and chunked bodies through real
// HTTP and reads them back.
func TestBodiesOfAllLengthsArriveWhole(t *testing.T) {
	n := newNode(t)
	web := httptest.NewServer(n.serve(httpapi.Config{}))
	defer web.Close()
	for i, length := range []int{1, 511, 8 << 10, 8<<10 + 1, 1 << 20, 1<<20 + 1, 3<<20 + 7} {
		want := strings.Repeat("0123456789abcdef", length/16+1)[:length]
		for _, method := range []string{http.MethodPut, http.MethodPost} {
			for kind, reader := range map[string]io.Reader{"known": strings.NewReader(want), "chunked": struct{ io.Reader }{strings.NewReader(want)}} {
				name := fmt.Sprint(web.URL, "/v1/stream/", method, kind, i)
				if method == http.MethodPost {
					send(t, http.MethodPut, name, nil)
				}
				send(t, method, name, reader)
				res, err := http.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || string(got) != want || res.ContentLength != int64(length) {
					t.Fatalf("%s: got %d bytes, told %d, want %d: %v", name, len(got), res.ContentLength, length, err)
				}
			}
		}
	}
}

func send(t *testing.T, method, url string, body io.Reader) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, url, res.Status)
	}
}

func TestBrowsersMayCall(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", text, "x"))
	s := n.serve(httpapi.Config{})
	a := do(s, http.MethodOptions, "/v1/stream/s", "", "Origin", "https://a.example", "Access-Control-Request-Method", "POST")
	a.want(t, 204, "Access-Control-Allow-Origin", "*", "X-Content-Type-Options", "nosniff")
	for _, name := range []string{"Stream-TTL", "Stream-Seq", "Stream-Closed", "Stream-Forked-From", "Producer-Id", "If-None-Match", "Content-Type", "Authorization", "Last-Event-ID"} {
		if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), name) {
			t.Fatalf("%s is not allowed", name)
		}
	}
	exposed := do(s, http.MethodGet, "/v1/stream/s", "").header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Stream-Next-Offset", "Stream-Up-To-Date", "Stream-Cursor", "ETag", "Location", "Producer-Expected-Seq", "Stream-Staleness"} {
		if !strings.Contains(exposed, name) {
			t.Fatalf("%s is not exposed", name)
		}
	}
	some := n.serve(httpapi.Config{CORSOrigins: []string{"https://a.example"}})
	do(some, http.MethodGet, "/v1/stream/s", "", "Origin", "https://a.example").want(t, 200, "Access-Control-Allow-Origin", "https://a.example", "Vary", "Origin")
	do(some, http.MethodGet, "/v1/stream/s", "", "Origin", "https://b.example").want(t, 200, "Access-Control-Allow-Origin", "", "Vary", "Origin")
	do(some, http.MethodGet, "/v1/stream/s", "").want(t, 200, "Access-Control-Allow-Origin", "", "Vary", "Origin")
	do(some, http.MethodOptions, "/v1/stream/s", "", "Origin", "https://b.example").want(t, 204, "Access-Control-Allow-Methods", "")
}

func TestHealthAndStatus(t *testing.T) {
	n := newNode(t)
	s := n.serve(httpapi.Config{})
	for _, path := range []string{"/livez", "/startupz", "/healthz", "/healthz?cluster", "/readyz", "/readyz?verbose"} {
		do(s, http.MethodGet, path, "").want(t, 200, "Cache-Control", "no-store")
		do(s, http.MethodHead, path, "").want(t, 200)
	}
	if a := do(s, http.MethodGet, "/v1/cluster/status", ""); a.status != 200 || !json.Valid([]byte(a.text())) || !strings.Contains(a.text(), "n1") {
		t.Fatalf("got %d %s", a.status, a.text())
	}
	n.notReady = errors.New("no leader is known")
	a := do(s, http.MethodGet, "/readyz", "")
	a.want(t, 503, "Retry-After", "1")
	if !strings.Contains(a.text(), "no leader is known") {
		t.Fatalf("got %s", a.text())
	}
	do(s, http.MethodGet, "/livez", "").want(t, 200)
	do(s, http.MethodGet, "/healthz", "").want(t, 200)
}

// TestVerboseNamesEachCheck: an operator sees all that is missing at once, with the
// same status as without.
func TestVerboseNamesEachCheck(t *testing.T) {
	n := newNode(t)
	s := n.serve(httpapi.Config{})
	shows := func(path string, status int, lines ...string) {
		t.Helper()
		a := do(s, http.MethodGet, path, "")
		a.want(t, status, "Content-Type", "text/plain; charset=utf-8")
		for _, line := range lines {
			if !slices.Contains(strings.Split(a.text(), "\n"), line) {
				t.Fatalf("%s: got %q, want a line %q", path, a.text(), line)
			}
		}
	}
	shows("/readyz?verbose", 200, "[+] reads", "[+] listed", "[+] leader", "ok")
	shows("/healthz?cluster&verbose", 200, "[+] failure-tolerance", "ok")
	n.notReady, n.frail = errors.New("no leader is known"), errors.New("no node may fail")
	s.Unlist()
	shows("/readyz?verbose", 503, "[+] reads", "[-] listed: this node is stopping", "[-] leader: no leader is known", "failed")
	shows("/healthz?cluster&verbose", 503, "[-] failure-tolerance: no node may fail", "failed")
	a := do(s, http.MethodGet, "/healthz?cluster", "")
	a.want(t, 503, "Retry-After", "1")
	if !strings.Contains(a.text(), "CLUSTER_NOT_HEALTHY") || !strings.Contains(a.text(), "no node may fail") {
		t.Fatalf("got %s", a.text())
	}
	do(s, http.MethodGet, "/healthz", "").want(t, 200)
}

func TestRequestsAreCounted(t *testing.T) {
	n := newNode(t)
	s := n.serve(httpapi.Config{})
	do(s, http.MethodPut, "/v1/stream/s", "abc", "Content-Type", "text/plain")
	for range 3 {
		do(s, http.MethodGet, "/v1/stream/s", "")
	}
	do(s, http.MethodGet, "/v1/stream/none", "")
	do(s, http.MethodGet, "/elsewhere", "")
	a := do(s, http.MethodGet, "/metrics", "")
	for _, want := range []string{
		`mainstem_http_requests_total{code="201",operation="create"} 1`,
		`mainstem_http_requests_total{code="200",operation="read"} 3`,
		`mainstem_http_requests_total{code="404",operation="read"} 1`,
		`mainstem_http_requests_total{code="404",operation="other"} 1`,
		`mainstem_http_request_seconds_count{operation="read"} 4`,
		`mainstem_http_request_bytes_total 3`,
		`mainstem_live_readers{mode="sse"} 0`,
	} {
		if !strings.Contains(a.text(), want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
}

// TestMountedUnderAPrefix serves the handler as part of another program.
func TestMountedUnderAPrefix(t *testing.T) {
	n := newNode(t)
	mux := http.NewServeMux()
	mux.Handle("/outer/", http.StripPrefix("/outer", n.serve(httpapi.Config{BasePath: "/streams"})))
	web := httptest.NewServer(mux)
	defer web.Close()
	req, err := http.NewRequest(http.MethodPut, web.URL+"/outer/streams/a%2Fb", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	location := res.Header.Get("Location")
	if res.StatusCode != 201 || location != web.URL+"/outer/streams/a%2Fb" {
		t.Fatalf("got %s and %q", res.Status, location)
	}
	for _, source := range []string{"/outer/streams/a%2Fb", "/streams/a%2fb"} {
		req, err := http.NewRequest(http.MethodPut, web.URL+"/outer/streams/fork", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Stream-Forked-From", source)
		if res, err = http.DefaultClient.Do(req); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode >= 300 {
			t.Fatalf("fork from %s: %s", source, res.Status)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	n := newNode(t)
	for name, cfg := range map[string]httpapi.Config{
		"LongPollTimeout": {LongPollTimeout: -1},
		"BodyBytesMax":    {BodyBytesMax: 33 << 20},
		"ChunkBytes":      {ChunkBytes: -1},
		"BasePath":        {BasePath: "/"},
		"begin":           {BasePath: "v1"},
		"plain path":      {BasePath: "/a/../b"},
		"hides":           {BasePath: "/v1"},
		"CORSOrigins":     {CORSOrigins: []string{"example.com"}},
		"LiveReadersMax":  {LiveReadersMax: -1},
	} {
		if _, err := httpapi.New(cfg, n, n, n, n); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := httpapi.New(httpapi.Config{}, n, nil, n, n); err == nil {
		t.Error("a server without a fencer was made")
	}
	if _, err := httpapi.New(httpapi.Config{}, n, n, n, n); err != nil {
		t.Error(err)
	}
}
