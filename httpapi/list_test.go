package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"mainstem/httpapi"
	"mainstem/stream"
)

type page struct {
	Streams []struct {
		Name, ContentType, NextOffset, CreatedAt, ExpiresAt, ForkedFrom string
		Closed                                                          bool
		TTLSeconds                                                      *int
	}
	Next string
}

func (p page) names() (names []string) {
	for _, s := range p.Streams {
		names = append(names, s.Name)
	}
	return names
}

func listed(t *testing.T, s http.Handler, query string, headers ...string) (p page) {
	t.Helper()
	a := do(s, "GET", "/v1/streams?"+query, "", headers...)
	a.want(t, 200, "Content-Type", "application/json", "Cache-Control", "no-store")
	// Members have names with underscores.
	if err := json.Unmarshal([]byte(strings.ReplaceAll(a.text(), "_", "")), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestListingWalksAllNamesOnce(t *testing.T) {
	n := newNode(t)
	s := n.serve(httpapi.Config{})
	var want []string
	for i := range 25 {
		name := fmt.Sprintf("logs/%02d", i)
		do(s, "PUT", base+name, "x", "Content-Type", "text/plain").want(t, 201)
		want = append(want, name)
	}
	for _, other := range []string{"log", "logt", "a", "zz", "logs%2F00"} {
		do(s, "PUT", base+other, "").want(t, 201)
	}
	for limit := range 30 {
		var got []string
		next, pages := "", 0
		for {
			p := listed(t, s, fmt.Sprintf("prefix=logs/&limit=%d&after=%s", limit+1, next))
			got = append(got, p.names()...)
			if pages++; len(p.Streams) > limit+1 || pages > 26 {
				t.Fatalf("limit %d: page %d has %d streams", limit+1, pages, len(p.Streams))
			}
			if next = p.Next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("limit %d: got %v", limit+1, got)
		}
	}
	if got := listed(t, s, "").names(); len(got) != 30 {
		t.Errorf("without a prefix: %v", got)
	}
	if got := listed(t, s, "prefix=logs%252f").names(); !slices.Equal(got, []string{"logs%2F00"}) { // in any spelling of a name
		t.Errorf("an escaped slash: %v", got)
	}
}

func TestListingTellsWhatAStreamIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		s := n.serve(httpapi.Config{})
		do(s, "PUT", base+"a", "[1]", "Content-Type", "application/json", "Stream-TTL", "60", "Stream-Closed", "true").want(t, 201)
		do(s, "PUT", base+"b", "", "Stream-Expires-At", "2100-01-01T00:00:00Z").want(t, 201)
		do(s, "PUT", base+"f", "", "Stream-Forked-From", base+"a").want(t, 201)
		do(s, "DELETE", base+"a", "").want(t, 204)
		p := listed(t, s, "")
		if got := p.names(); !slices.Equal(got, []string{"b", "f"}) { // a answers 410, and is kept for f alone
			t.Fatalf("listed %v", got)
		}
		b, f := p.Streams[0], p.Streams[1]
		if b.ContentType != "application/octet-stream" || b.NextOffset != strings.ReplaceAll(stream.Offset{Incarnation: 2}.String(), "_", "") ||
			b.Closed || b.CreatedAt != "2000-01-01T00:00:00Z" || b.ExpiresAt != "2100-01-01T00:00:00Z" || b.TTLSeconds != nil || b.ForkedFrom != "" {
			t.Errorf("b is %+v", b)
		}
		if f.ContentType != "application/json" || f.ForkedFrom != "a" || f.TTLSeconds == nil || *f.TTLSeconds != 60 || f.Closed {
			t.Errorf("f is %+v", f)
		}
	})
}

func TestListingShowsOnlyWhatMayBeRead(t *testing.T) {
	n := newNode(t)
	all := n.serve(httpapi.Config{})
	for _, name := range []string{"a/1", "a/2", "b/1", "c"} {
		do(all, "PUT", base+name, "").want(t, 201)
	}
	gate, key := gateWith(t, []string{"read"}, "a/*", "c")
	s := n.serve(httpapi.Config{Access: gate})
	if got := listed(t, s, "", "Authorization", key).names(); !slices.Equal(got, []string{"a/1", "a/2", "c"}) {
		t.Errorf("a reader sees %v", got)
	}
	if p := listed(t, s, "prefix=b", "Authorization", key); len(p.Streams) != 0 || p.Next != "" {
		t.Errorf("a reader sees %+v of what it may not read", p)
	}
	do(s, "GET", "/v1/streams", "").want(t, 401)
	for scope, want := range map[string]int{"append": 403, "create": 403, "delete": 403, "admin": 200} {
		gate, key := gateWith(t, []string{scope}, "**")
		do(n.serve(httpapi.Config{Access: gate}), "GET", "/v1/streams", "", "Authorization", key).want(t, want)
	}
}

// What an identity may not see is looked at too: the work of one answer is bounded.
func TestListingEndsEarlyAmongMuchThatMayNotBeSeen(t *testing.T) {
	n := newNode(t)
	for i := range 10_005 {
		n.apply(true, create(stream.Name(fmt.Sprintf("a/%05d", i)), text, ""))
	}
	n.apply(true, create("b", text, ""))
	gate, key := gateWith(t, []string{"read"}, "b")
	s := n.serve(httpapi.Config{Access: gate})
	first := listed(t, s, "", "Authorization", key)
	if len(first.Streams) != 0 || first.Next != "a/09999" {
		t.Fatalf("the first page is %+v", first)
	}
	if got := listed(t, s, "after="+first.Next, "Authorization", key); !slices.Equal(got.names(), []string{"b"}) || got.Next != "" {
		t.Fatalf("the second page is %+v", got)
	}
}

func TestListingIsCurrentUnlessAskedOtherwise(t *testing.T) {
	n := laggingNode(t)
	n.apply(false, create("a", text, ""))
	s := n.serve(httpapi.Config{})
	local := do(s, "GET", "/v1/streams", "", "Stream-Read-Consistency", "local")
	local.want(t, 200)
	if strings.Contains(local.text(), `"a"`) || local.Header().Get("Stream-Staleness") == "" {
		t.Fatalf("the copy alone: %s, %v", local.text(), local.Header())
	}
	if got := listed(t, s, "").names(); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("listed %v", got)
	}
}

func TestBadListingsAreRefused(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "prefix=a&prefix=b", "prefix=%25", "after=%zz", "prefix=" + strings.Repeat("x", 1025)} {
		if a := do(s, "GET", "/v1/streams?"+query, ""); a.status != 400 && a.status != 414 {
			t.Errorf("%.40s: got %d", query, a.status)
		}
	}
	do(s, "POST", "/v1/streams", "").want(t, 405)
}

// The listing's path is beside the streams, under a mount prefix and any base too.
func TestListingCollidesWithNoStream(t *testing.T) {
	n := newNode(t)
	mounted := http.StripPrefix("/outer", n.serve(httpapi.Config{BasePath: "/v1/stream"}))
	do(mounted, "PUT", "/outer/v1/stream/s", "").want(t, 201)
	do(mounted, "PUT", "/outer/v1/streams/s", "").want(t, 404)
	if got := do(mounted, "GET", "/outer/v1/streams", ""); got.status != 200 || !strings.Contains(got.text(), `"name":"s"`) {
		t.Fatalf("got %d %s", got.status, got.text())
	}
	for _, taken := range []string{"/v1/streams", "/v1"} {
		if _, err := httpapi.New(httpapi.Config{BasePath: taken}, n, n, n, n); err == nil {
			t.Errorf("%s as a base would hide the listing", taken)
		}
	}
}
