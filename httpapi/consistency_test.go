package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

// lagging returns a node whose copy lacks the newest commands, and offsets of
// stream s: after "one", after "two" (the tail of the copy), and after "three".
func lagging(t testing.TB) (n *node, one, two, three string) {
	t.Helper()
	n = laggingNode(t)
	at1 := n.apply(true, create("s", text, "one"))
	at2 := n.apply(true, appendTo("s", text, "two"))
	n.apply(true, create("doomed", text, "old"), create("kept", text, "x"),
		stream.Create{Name: "fork", Fork: &stream.Fork{Source: "kept"}})
	at3 := n.apply(false, appendTo("s", text, "three"))
	n.apply(false, create("fresh", text, "new"), stream.Delete{Name: "doomed"}, stream.Delete{Name: "kept"})
	return n, at1.String(), at2.String(), at3.String()
}

func TestWhatIsFenced(t *testing.T) {
	_, one, two, three := lagging(t)
	beyond := "0000000000000001_0000000000000999"
	type row struct {
		method, target string
		headers        []string
		status         int
		body           string // of a 200
		fences         int
		upToDate       bool
	}
	get := http.MethodGet
	for name, r := range map[string]row{
		"head":                         {http.MethodHead, "s", nil, 200, "", 1, false},
		"head of what is new":          {http.MethodHead, "fresh", nil, 200, "", 1, false},
		"head of what is gone":         {http.MethodHead, "doomed", nil, 404, "", 1, false},
		"start":                        {get, "s?offset=-1", nil, 200, "one", 1, false},
		"no offset":                    {get, "s", nil, 200, "one", 1, false},
		"all zeros":                    {get, "s?offset=0000000000000000_0000000000000000", nil, 200, "one", 1, false},
		"now":                          {get, "s?offset=now", nil, 200, "", 1, true},
		"an offset before the tail":    {get, "s?offset=0000000000000001_0000000000000000", nil, 200, "one", 0, false},
		"what ends at the copy's tail": {get, "s?offset=" + one, nil, 200, "two", 1, false},
		"the copy's tail":              {get, "s?offset=" + two, nil, 200, "three", 1, true},
		"an offset not here yet":       {get, "s?offset=" + three, nil, 200, "", 1, true},
		"a stream not here yet":        {get, "fresh?offset=-1", nil, 200, "new", 1, true},
		"404":                          {get, "never?offset=-1", nil, 404, "", 1, false},
		"404 that is not here yet":     {get, "doomed?offset=-1", nil, 404, "", 1, false},
		"410 that is not here yet":     {get, "kept?offset=-1", nil, 410, "", 1, false},
		"400 by state":                 {get, "s?offset=" + beyond, nil, 400, "", 1, false},
		"400 by syntax":                {get, "s?offset=1,2", nil, 400, "", 0, false},
		"304":                          {get, "s?offset=0000000000000001_0000000000000000", []string{"If-None-Match", `"1:0:3"`}, 304, "", 1, false},
		"another tag":                  {get, "s?offset=0000000000000001_0000000000000000", []string{"If-None-Match", `"1:0:4"`}, 200, "one", 0, false},
		"long-poll":                    {get, "s?live=long-poll&offset=0000000000000001_0000000000000000", nil, 200, "one", 1, false},
		"long-poll at the copy's tail": {get, "s?live=long-poll&offset=" + two, nil, 200, "three", 1, true},
		"long-poll at its timeout":     {get, "s?live=long-poll&offset=" + three, nil, 204, "", 2, true},
		"long-poll from now":           {get, "s?live=long-poll&offset=now", nil, 204, "", 2, true},
		"sse":                          {get, "s?live=sse&offset=" + three, nil, 200, "", 1, false},
		"local head":                   {http.MethodHead, "fresh", local, 404, "", 0, false},
		"local start":                  {get, "doomed", local, 200, "old", 0, true},
		"local now":                    {get, "s?offset=now", local, 200, "", 0, true},
		"local offset not here yet":    {get, "s?offset=" + three, local, 400, "", 0, false},
		"local 304":                    {get, "s", []string{"If-None-Match", `"1:0:3"`, "Stream-Read-Consistency", "local"}, 304, "", 0, false},
		"local long-poll":              {get, "s?live=long-poll&offset=" + two, local, 204, "", 0, true},
		"append":                       {http.MethodPost, "s", []string{"Stream-Closed", "true"}, 204, "", 0, false},
		"delete":                       {http.MethodDelete, "s", nil, 204, "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _, _, _ := lagging(t)
				s := n.serve(httpapi.Config{ChunkBytes: 3, LongPollTimeout: time.Second, SSEReconnectInterval: time.Second})
				a := do(s, r.method, "/v1/stream/"+r.target, "", r.headers...)
				a.want(t, r.status)
				if got, _, _ := n.counts(); got != r.fences {
					t.Fatalf("got %d fences, want %d", got, r.fences)
				}
				if r.status == 200 && !strings.Contains(r.target, "sse") && a.text() != r.body {
					t.Fatalf("got body %q, want %q", a.text(), r.body)
				}
				if got := a.header.Get("Stream-Up-To-Date") == "true"; got != r.upToDate {
					t.Fatalf("got up-to-date %v, want %v", got, r.upToDate)
				}
				isLocal := len(r.headers) > 0 && r.headers[len(r.headers)-1] == "local"
				if got := a.header.Get("Stream-Staleness") != ""; got != isLocal {
					t.Fatalf("got staleness %q, local is %v", a.header.Get("Stream-Staleness"), isLocal)
				}
			})
		})
	}
}

var local = []string{"Stream-Read-Consistency", "local"}

func TestWithoutLeader(t *testing.T) {
	_, one, two, three := lagging(t)
	type row struct {
		method, target string
		headers        []string
		status         int
		body           string
		stale          bool
	}
	get := http.MethodGet
	for name, r := range map[string]row{
		"head":                      {http.MethodHead, "s", nil, 503, "", false},
		"now":                       {get, "s?offset=now", nil, 503, "", false},
		"start":                     {get, "s", nil, 200, "onetwo", true},
		"a named offset":            {get, "s?offset=" + one, nil, 200, "two", true},
		"the tail":                  {get, "s?offset=" + two, nil, 200, "", true},
		"a closed stream":           {get, "closed", nil, 200, "all", true},
		"would be 400":              {get, "s?offset=" + three, nil, 503, "", false},
		"would be 404":              {get, "fresh", nil, 503, "", false},
		"would be 304":              {get, "s", []string{"If-None-Match", `"1:0:6"`}, 503, "", false},
		"is 400 by syntax":          {get, "s?offset=x", nil, 400, "", false},
		"long-poll with data":       {get, "s?live=long-poll&offset=" + one, nil, 200, "two", true},
		"long-poll without":         {get, "s?live=long-poll&offset=" + two, nil, 503, "", false},
		"long-poll from now":        {get, "s?live=long-poll&offset=now", nil, 503, "", false},
		"sse":                       {get, "s?live=sse&offset=" + one, nil, 503, "", false},
		"local head":                {http.MethodHead, "s", local, 200, "", true},
		"local 404":                 {get, "fresh", local, 404, "", true},
		"local start":               {get, "s", local, 200, "onetwo", true},
		"local now":                 {get, "s?offset=now", local, 200, "", true},
		"append":                    {http.MethodPost, "s", []string{"Stream-Closed", "true"}, 503, "", false},
		"create":                    {http.MethodPut, "s", nil, 503, "", false},
		"delete":                    {http.MethodDelete, "s", nil, 503, "", false},
		"a short-lived stream":      {get, "short", nil, 200, "brief", true},
		"a long-lived stream":       {get, "long", nil, 200, "lasting", true},
		"head of a short-lived one": {http.MethodHead, "short", nil, 503, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _, _, _ := lagging(t)
				closed := create("closed", text, "all")
				closed.Closed = true
				n.apply(true, closed, withTTL(create("short", text, "brief"), 5), withTTL(create("long", text, "lasting"), 5000))
				n.loseLeader(5 * time.Second)
				s := n.serve(httpapi.Config{LongPollTimeout: time.Second})
				begin := time.Now()
				a := do(s, r.method, "/v1/stream/"+r.target, "", r.headers...)
				a.want(t, r.status)
				if took := time.Since(begin); took > 200*time.Millisecond {
					t.Fatalf("the answer took %v, although the leader has long been gone", took)
				}
				if r.status == 503 {
					a.want(t, 503, "Retry-After", "1", "Content-Type", "application/problem+json")
				}
				if r.status == 200 && a.text() != r.body {
					t.Fatalf("got body %q, want %q", a.text(), r.body)
				}
				staleness := a.header.Get("Stream-Staleness")
				if !r.stale {
					a.want(t, r.status, "Stream-Staleness", "")
					return
				}
				if staleness < "5000" || staleness > "5200" || a.header.Get("Cache-Control") != "no-store" {
					t.Fatalf("got staleness %q and cache control %q", staleness, a.header.Get("Cache-Control"))
				}
				if len(r.headers) == 0 {
					a.want(t, r.status, "Stream-Up-To-Date", "", "Stream-Closed", "", "ETag", "")
				}
			})
		})
	}
}

func TestReadsWaitForALeaderUntilTheGraceIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.apply(true, create("s", text, "one"))
		n.loseLeader(500 * time.Millisecond)
		s := n.serve(httpapi.Config{NoLeaderGrace: 2 * time.Second})
		begin := time.Now()
		do(s, http.MethodGet, "/v1/stream/s", "").want(t, 200, "Stream-Staleness", "2000")
		if got := time.Since(begin); got != 1500*time.Millisecond {
			t.Fatalf("waited %v after half a second of silence, want 1.5s", got)
		}
		never := time.Time{}
		n.contact = &never
		do(s, http.MethodGet, "/v1/stream/s", "").want(t, 200, "Stream-Staleness", "unknown")
	})
}

func TestReadConsistencyHeaderIsChecked(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", text, "one"))
	s := n.serve(httpapi.Config{})
	do(s, http.MethodGet, "/v1/stream/s", "", "Stream-Read-Consistency", "eventual").want(t, 400)
	do(s, http.MethodGet, "/v1/stream/s", "", "Stream-Read-Consistency", "local", "Stream-Read-Consistency", "local").want(t, 400)
	do(s, http.MethodGet, "/v1/stream/s", "", "Stream-Read-Consistency", "").want(t, 400)
	do(s, http.MethodHead, "/v1/stream/s", "", "Stream-Read-Consistency", "x").want(t, 400)
	do(s, http.MethodGet, "/v1/stream/s", "", "Stream-Read-Consistency", "Linearizable").want(t, 200, "Stream-Staleness", "")
}
