package test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	bodyLimit = 10 << 20 // the default
	nameLimit = 1024
	rawWithin = 5 * time.Second
	// A fixed end, not a window, which every read would move.
	badExpiresAt = "2100-01-01T00:00:00Z"
)

// badCase is a request that must be refused and change nothing.
type badCase struct {
	method  string
	target  string // below the stream base when it does not begin with a slash
	headers []string
	body    string
	status  int
	want    []string // headers of the answer, names and values
}

// badCodes are the codes that clients match on, by status.
var badCodes = map[int][]string{
	400: {"BAD_REQUEST"}, 403: {"FORBIDDEN"}, 404: {"NOT_FOUND"}, 405: {"BAD_REQUEST"}, 412: {"CONFLICT"},
	409: {"CONFLICT"}, 410: {"GONE"}, 413: {"PAYLOAD_TOO_LARGE"}, 414: {"BAD_REQUEST"}, 415: {"BAD_REQUEST"},
}

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	node := c.Followers()[0]
	incarnation := prepareBadInput(t, node.Client())
	wroteThrough(t, c.Nodes) // so that each node has what it needs to write at all
	before, sum := snapshot(t, c), c.WaitEqual()

	tables := []map[string]badCase{badNames(), badCreates(), badForks(), badAppends(), badProducers(), badReads(), badRest()}
	count := 0
	for _, table := range tables {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			t.Run(name, func(t *testing.T) { table[name].check(t, node.Client(), incarnation) })
			count++
		}
	}
	count += rawInput(t, node.Addr)

	if !node.Running() {
		t.Fatal("the node has ended")
	}
	if err := node.Ready(); err != nil {
		t.Fatal(err)
	}
	after, sumAfter := snapshot(t, c), c.WaitEqual()
	for key, was := range before {
		if after[key] != was {
			t.Errorf("%s was\n%s\nand is\n%s", key, was, after[key])
		}
	}
	if sumAfter.Keys != sum.Keys {
		t.Errorf("the copy had %d keys and has %d: something was made", sum.Keys, sumAfter.Keys)
	}
	t.Logf("%d bad requests refused; streams and the number of keys (%d) as before", count, sum.Keys)
}

// prepareBadInput makes the streams that the cases aim at. It returns what
// writes their incarnations, the first half of an offset, for {text} and
// {forked}.
func prepareBadInput(t *testing.T, c *harness.Client) *strings.Replacer {
	t.Helper()
	must := func(status int) func(a harness.Answer, err error) {
		return func(a harness.Answer, err error) {
			t.Helper()
			if err != nil || a.Status != status {
				t.Fatalf("want %d, got %s, %v", status, a, err)
			}
		}
	}
	plain := harness.Headers("Content-Type", text)
	must(201)(c.Create("bad/text", harness.Headers("Content-Type", text, "Stream-Expires-At", badExpiresAt), "abc"))
	must(204)(c.Append("bad/text", harness.Headers("Content-Type", text, "Stream-Seq", "m"), "def"))
	must(200)(c.Append("bad/text", harness.Headers("Content-Type", text, "Producer-Id", "known", "Producer-Epoch", "4", "Producer-Seq", "0"), "g"))
	must(201)(c.Create("bad/json", harness.Headers("Content-Type", "application/json"), `[{"a":1},{"a":2}]`))
	must(201)(c.Create("bad/closed", harness.Headers("Content-Type", text, "Stream-Closed", "true"), "end"))
	must(201)(c.Create("bad/forked", plain, "source"))
	must(201)(c.Create("bad/fork", harness.Headers("Stream-Forked-From", harness.StreamPath("bad/forked")), ""))
	must(201)(c.Create("bad/gone", plain, "source"))
	must(201)(c.Create("bad/gone-fork", harness.Headers("Stream-Forked-From", harness.StreamPath("bad/gone")), ""))
	must(204)(c.Delete("bad/gone"))

	var names []string
	for _, name := range []string{"text", "forked"} {
		a, err := c.Head("bad/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		incarnation, _, _ := strings.Cut(a.Next(), "_")
		names = append(names, "{"+name+"}", incarnation)
	}
	return strings.NewReplacer(names...)
}

// snapshot is what the prepared streams look like on every node.
func snapshot(t *testing.T, c *harness.Cluster) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, n := range c.Nodes {
		for _, name := range []string{"bad/text", "bad/json", "bad/closed", "bad/forked", "bad/fork", "bad/gone", "bad/gone-fork"} {
			head, err := n.Client().Head(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			head.Header.Del("Date")
			out[n.ID+" HEAD "+name] = head.String()
			if head.Status == 200 {
				got, err := n.Client().ReadAll(name, "-1", nil)
				if err != nil {
					t.Fatal(err)
				}
				out[n.ID+" GET "+name] = string(got.Bytes()) + " to " + got.Next
			}
		}
	}
	return out
}

// check sends the request, with the streams' incarnations in its offsets.
func (b badCase) check(t *testing.T, c *harness.Client, incarnation *strings.Replacer) {
	target, headers := incarnation.Replace(b.target), slices.Clone(b.headers)
	for i, h := range headers {
		headers[i] = incarnation.Replace(h)
	}
	if !strings.HasPrefix(target, "/") {
		target = harness.StreamPath(target)
	}
	var body io.Reader
	if b.body != "" {
		body = strings.NewReader(b.body)
	}
	a, err := c.Do(t.Context(), b.method, target, harness.Headers(headers...), body)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if a.Status != b.status {
		t.Fatalf("got %s, want %d", a, b.status)
	}
	for i := 0; i+1 < len(b.want); i += 2 {
		if got := a.Header.Get(b.want[i]); got != b.want[i+1] {
			t.Errorf("%s is %q, want %q", b.want[i], got, b.want[i+1])
		}
	}
	if err := problem(a, b.method == http.MethodHead); err != nil {
		t.Errorf("%v in %s", err, a)
	}
}

// problem checks the form of a refusal.
func problem(a harness.Answer, headOnly bool) error {
	if got := a.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		return fmt.Errorf("X-Content-Type-Options is %q", got)
	}
	if headOnly {
		return nil
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		return fmt.Errorf("Content-Type is %q", got)
	}
	var p map[string]any
	if err := json.Unmarshal(a.Body, &p); err != nil {
		return err
	}
	for _, member := range []string{"type", "title", "code", "detail", "instance"} {
		if s, ok := p[member].(string); !ok || s == "" {
			return fmt.Errorf("member %s is %v", member, p[member])
		}
	}
	if p["status"] != float64(a.Status) {
		return fmt.Errorf("member status is %v", p["status"])
	}
	if !slices.Contains(badCodes[a.Status], p["code"].(string)) {
		return fmt.Errorf("code %v at status %d", p["code"], a.Status)
	}
	return nil
}

// rawInput sends what no HTTP client would and wants a refusal or the end of
// the connection, in time. It returns how much it sent.
func rawInput(t *testing.T, addr string) int {
	cases := map[string]string{
		"no HTTP":                  "GARBAGE\r\n\r\n",
		"binary":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"bad escape in the path":   "GET /v1/stream/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"no host":                  "GET /v1/stream/a HTTP/1.1\r\n\r\n",
		"two lengths":              "POST /v1/stream/bad/text HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"negative length":          "POST /v1/stream/bad/text HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: -1\r\n\r\na",
		"bad chunk":                "POST /v1/stream/bad/text HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\na\r\n0\r\n\r\n",
		"bad header name":          "GET /v1/stream/a HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
		"NUL in a header":          "PUT /v1/stream/bad/nul HTTP/1.1\r\nHost: x\r\nStream-Seq: a\x00b\r\n\r\n",
		"headers without end":      "GET /v1/stream/a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n",
		"a body that breaks off":   "POST /v1/stream/bad/text HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nshort",
		"a chunk that breaks off":  "POST /v1/stream/bad/text HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort",
		"a creation broken off":    "PUT /v1/stream/bad/new HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nshort",
		"a length above the limit": "POST /v1/stream/bad/text HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 99999999999\r\n\r\nabc",
	}
	for name, request := range cases {
		t.Run("raw: "+name, func(t *testing.T) {
			conn, err := net.DialTimeout("tcp", addr, rawWithin)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() // its half is closed below
			conn.SetDeadline(time.Now().Add(rawWithin))
			conn.Write([]byte(request))      // the node may have hung up already
			conn.(*net.TCPConn).CloseWrite() // so that a broken-off body ends
			answer, err := io.ReadAll(conn)  // a reset is as good as an end
			if err != nil && len(answer) == 0 && !strings.Contains(err.Error(), "reset") {
				t.Fatalf("neither an answer nor an end: %v", err)
			}
			if line, _, _ := strings.Cut(string(answer), "\r\n"); line != "" && !strings.HasPrefix(line, "HTTP/1.1 4") {
				t.Fatalf("answered %q", line)
			}
		})
	}
	return len(cases)
}
