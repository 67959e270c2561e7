package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

const base = "/v1/stream/"

func TestBadRequestsAreRefusedAndChangeNothing(t *testing.T) {
	put, post, get := http.MethodPut, http.MethodPost, http.MethodGet
	plain := []string{"Content-Type", "text/plain"}
	for name, r := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
	}{
		"ttl and expires-at":        {put, "x", "", []string{"Stream-TTL", "1", "Stream-Expires-At", "2030-01-01T00:00:00Z"}, 400},
		"ttl repeated":              {put, "x", "", []string{"Stream-TTL", "1", "Stream-TTL", "1"}, 400},
		"ttl empty":                 {put, "x", "", []string{"Stream-TTL", ""}, 400},
		"ttl huge":                  {put, "x", "", []string{"Stream-TTL", "99999999999999"}, 400},
		"content type malformed":    {put, "x", "", []string{"Content-Type", "text"}, 400},
		"content type repeated":     {put, "x", "", []string{"Content-Type", "text/plain", "Content-Type", "text/plain"}, 400},
		"json malformed":            {put, "x", "{", []string{"Content-Type", "application/json"}, 400},
		"fork offset alone":         {put, "x", "", []string{"Stream-Fork-Offset", "0000000000000000_0000000000000000"}, 400},
		"sub-offset alone":          {put, "x", "", []string{"Stream-Fork-Sub-Offset", "0"}, 400},
		"sub-offset past the tail":  {put, "x", "", []string{"Stream-Forked-From", base + "s", "Stream-Fork-Sub-Offset", "1"}, 400},
		"sub-offset leading zero":   {put, "x", "", []string{"Stream-Forked-From", base + "s", "Stream-Fork-Offset", "0000000000000000_0000000000000000", "Stream-Fork-Sub-Offset", "01"}, 400},
		"fork offset -1":            {put, "x", "", []string{"Stream-Forked-From", base + "s", "Stream-Fork-Offset", "-1"}, 400},
		"fork offset now":           {put, "x", "", []string{"Stream-Forked-From", base + "s", "Stream-Fork-Offset", "now"}, 400},
		"fork from elsewhere":       {put, "x", "", []string{"Stream-Forked-From", "/other/s"}, 400},
		"fork from a url":           {put, "x", "", []string{"Stream-Forked-From", "http://example.com" + base + "s"}, 400},
		"fork from nothing":         {put, "x", "", []string{"Stream-Forked-From", ""}, 400},
		"fork from a missing one":   {put, "x", "", []string{"Stream-Forked-From", base + "none"}, 404},
		"empty append":              {post, "s", "", plain, 400},
		"append without a type":     {post, "s", "a", nil, 400},
		"append of another type":    {post, "s", "a", []string{"Content-Type", "text/html"}, 409},
		"append to nothing":         {post, "none", "a", plain, 404},
		"empty array":               {post, "j", "[]", []string{"Content-Type", "application/json"}, 400},
		"append of bad json":        {post, "j", "{]", []string{"Content-Type", "application/json"}, 400},
		"seq empty":                 {post, "s", "a", append([]string{"Stream-Seq", ""}, plain...), 400},
		"seq repeated":              {post, "s", "a", append([]string{"Stream-Seq", "1", "Stream-Seq", "2"}, plain...), 400},
		"seq long":                  {post, "s", "a", append([]string{"Stream-Seq", strings.Repeat("9", 1025)}, plain...), 400},
		"closed repeated":           {post, "s", "", []string{"Stream-Closed", "true", "Stream-Closed", "true"}, 400},
		"closed false, empty":       {post, "s", "", []string{"Stream-Closed", "false"}, 400},
		"producer incomplete":       {post, "s", "a", append([]string{"Producer-Id", "p"}, plain...), 400},
		"producer id empty":         {post, "s", "a", append([]string{"Producer-Id", "", "Producer-Epoch", "0", "Producer-Seq", "0"}, plain...), 400},
		"producer epoch too large":  {post, "s", "a", append([]string{"Producer-Id", "p", "Producer-Epoch", "9007199254740992", "Producer-Seq", "0"}, plain...), 400},
		"producer seq repeated":     {post, "s", "a", append([]string{"Producer-Id", "p", "Producer-Epoch", "0", "Producer-Seq", "0", "Producer-Seq", "0"}, plain...), 400},
		"offset empty":              {get, "s?offset=", "", nil, 400},
		"offset repeated":           {get, "s?offset=-1&offset=-1", "", nil, 400},
		"offset repeated, escaped":  {get, "s?offset=-1&%6fffset=-1", "", nil, 400},
		"offset malformed":          {get, "s?offset=0_0", "", nil, 400},
		"offset bad escape":         {get, "s?offset=%zz", "", nil, 400},
		"live unknown":              {get, "s?offset=-1&live=true", "", nil, 400},
		"live empty":                {get, "s?offset=-1&live=", "", nil, 400},
		"live repeated":             {get, "s?offset=-1&live=sse&live=sse", "", nil, 400},
		"long-poll without offset":  {get, "s?live=long-poll", "", nil, 400},
		"sse without offset":        {get, "s?live=sse", "", nil, 400},
		"an offset that is no end":  {get, "s?offset=0000000000000001_0000000000000001", "", nil, 400},
		"an offset beyond the tail": {get, "s?offset=0000000000000001_0000000000000009", "", nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.apply(true, create("s", text, "abc"), create("j", "application/json", "[1]"))
			s := n.serve(httpapi.Config{})
			a := do(s, r.method, base+r.target, r.body, r.headers...)
			a.want(t, r.status, "Content-Type", "application/problem+json", "Cache-Control", "no-store", "ETag", "")
			var p struct{ Code, Reason, Detail string }
			if err := json.Unmarshal([]byte(a.text()), &p); err != nil || p.Code == "" || p.Reason == "" || len(p.Detail) < 20 {
				t.Fatalf("got %s", a.text())
			}
			do(s, get, base+"s", "").want(t, 200, "Stream-Next-Offset", "0000000000000001_0000000000000003", "Stream-Closed", "")
			do(s, http.MethodHead, base+"x", "").want(t, 404)
		})
	}
}

func TestUnknownParametersAreIgnored(t *testing.T) {
	n := newNode(t)
	n.apply(true, create("s", text, "abc"))
	s := n.serve(httpapi.Config{})
	for _, query := range []string{"", "?", "?x=1&y", "?%zz=1&offset=-1", "?&&offset=-1&", "?a=%zz", "?offsets=3"} {
		if a := do(s, http.MethodGet, base+"s"+query, ""); a.status != 200 || a.text() != "abc" {
			t.Fatalf("%q: got %d %q", query, a.status, a.text())
		}
	}
}

func TestCreateAnswers(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	offset0, offset3 := "0000000000000001_0000000000000000", "0000000000000002_0000000000000003"
	do(s, http.MethodPut, base+"a", "").want(t, 201, "Content-Type", "application/octet-stream", "Stream-Next-Offset", offset0,
		"Location", "http://example.com/v1/stream/a", "Stream-Closed", "")
	do(s, http.MethodPut, base+"a", "").want(t, 200, "Content-Type", "application/octet-stream", "Stream-Next-Offset", offset0, "Location", "")
	do(s, http.MethodPut, base+"b", "abc", "Content-Type", "Text/Plain", "Stream-Closed", "TRUE").want(t, 201, "Content-Type", "Text/Plain", "Stream-Next-Offset", offset3, "Stream-Closed", "true")
	do(s, http.MethodPut, base+"b", "", "Content-Type", "text/plain", "Stream-Closed", "true").want(t, 200, "Stream-Closed", "true")
	// Point 3 of what no suite tests: closure must match, both ways.
	do(s, http.MethodPut, base+"b", "", "Content-Type", "text/plain").want(t, 409)
	do(s, http.MethodPut, base+"a", "", "Stream-Closed", "true").want(t, 409)
	do(s, http.MethodPut, base+"a", "", "Stream-Closed", "yes").want(t, 200)
	do(s, http.MethodPut, base+"j", "[]", "Content-Type", "application/json; charset=utf-8").want(t, 201, "Stream-Next-Offset", "0000000000000003_0000000000000000")
	if a := do(s, http.MethodGet, base+"j", ""); a.text() != "[]" {
		t.Fatalf("got %q", a.text())
	}
	// A body without a type on a fork takes the source's.
	do(s, http.MethodPut, base+"f", `{"n":9007199254740993, "n":1}`, "Stream-Forked-From", base+"j").want(t, 201, "Content-Type", "application/json; charset=utf-8")
	if a := do(s, http.MethodGet, base+"f", ""); a.text() != `[{"n":9007199254740993, "n":1}]` {
		t.Fatalf("got %q", a.text())
	}
	do(s, http.MethodPut, base+"g", `{`, "Stream-Forked-From", base+"j").want(t, 400)
}

func TestAppendAnswers(t *testing.T) {
	n := newNode(t)
	n.apply(true, stream.Create{Name: "s", ContentType: text})
	s := n.serve(httpapi.Config{})
	post := func(body string, headers ...string) *answer {
		return do(s, http.MethodPost, base+"s", body, append(headers, "Content-Type", "text/plain")...)
	}
	producer := func(epoch, seq string, more ...string) []string {
		return append([]string{"Producer-Id", "p", "Producer-Epoch", epoch, "Producer-Seq", seq}, more...)
	}
	post("a").want(t, 204, "Stream-Next-Offset", "0000000000000001_0000000000000001", "Producer-Seq", "")
	post("b", producer("0", "0")...).want(t, 200, "Producer-Epoch", "0", "Producer-Seq", "0", "Stream-Next-Offset", "0000000000000001_0000000000000002")
	post("c", producer("0", "1")...).want(t, 200, "Producer-Seq", "1")
	post("b", producer("0", "0")...).want(t, 204, "Producer-Seq", "1", "Stream-Next-Offset", "0000000000000001_0000000000000003")
	post("d", producer("0", "9")...).want(t, 409, "Producer-Expected-Seq", "2", "Producer-Received-Seq", "9", "Stream-Closed", "")
	post("d", producer("9007199254740991", "0")...).want(t, 200, "Producer-Epoch", "9007199254740991")
	post("d", producer("1", "0")...).want(t, 403, "Producer-Epoch", "9007199254740991")
	post("d", "Stream-Seq", "5").want(t, 204)
	post("e", "Stream-Seq", "5").want(t, 409, "Stream-Closed", "")
	n.apply(true, stream.Create{Name: "c", ContentType: text})
	do(s, http.MethodPost, base+"c", "", producer("0", "0", "Stream-Closed", "true")...).want(t, 204, "Producer-Seq", "0", "Stream-Closed", "true") // §5.3
	post("e", producer("9007199254740991", "1", "Stream-Closed", "True")...).want(t, 200, "Stream-Closed", "true")
	post("x", producer("9007199254740991", "1")...).want(t, 204, "Stream-Closed", "true")
	// Points 2 and 5: closed counts before the content type.
	do(s, http.MethodPost, base+"s", "x", "Content-Type", "text/html").want(t, 409, "Stream-Closed", "true", "Stream-Next-Offset", "0000000000000001_0000000000000006")
	do(s, http.MethodPost, base+"s", "", "Stream-Closed", "true", "Content-Type", "image/png").want(t, 204, "Stream-Closed", "true")
	do(s, http.MethodDelete, base+"s", "").want(t, 204, "Stream-Next-Offset", "0000000000000001_0000000000000006")
	do(s, http.MethodDelete, base+"s", "").want(t, 404)
}

func TestReadAnswers(t *testing.T) {
	n := newNode(t)
	tail := n.apply(true, create("s", text, "abc"), appendTo("s", text, "def")).String()
	s := n.serve(httpapi.Config{ChunkBytes: 3})
	get := func(query string, headers ...string) *answer {
		return do(s, http.MethodGet, base+"s"+query, "", headers...)
	}
	const cached = "public, max-age=60, stale-while-revalidate=300"
	first := get("")
	first.want(t, 200, "Content-Type", "text/plain", "Content-Length", "3", "ETag", `"1:0:3"`, "Cache-Control", cached,
		"Stream-Up-To-Date", "", "Stream-Closed", "", "X-Content-Type-Options", "nosniff", "Cross-Origin-Resource-Policy", "cross-origin")
	second := get("?offset=" + first.header.Get("Stream-Next-Offset"))
	second.want(t, 200, "ETag", `"1:3:6"`, "Stream-Up-To-Date", "true", "Stream-Next-Offset", tail, "Stream-Closed", "")
	get("?offset="+tail).want(t, 200, "Content-Length", "0", "Stream-Up-To-Date", "true", "Stream-Next-Offset", tail, "ETag", `"1:6:6"`)
	get("?offset=now", "If-None-Match", "*").want(t, 200, "Content-Length", "0", "Cache-Control", "no-store", "ETag", "", "Stream-Next-Offset", tail)
	get("", "Authorization", "Bearer x").want(t, 200, "Cache-Control", "private, max-age=60, stale-while-revalidate=300", "Vary", "Authorization, Cookie")
	get("").want(t, 200, "Vary", "")

	// §10.1: the tag changes with the closing, and 304 has what 200 would have.
	query := "?offset=" + first.header.Get("Stream-Next-Offset")
	for _, tag := range []string{`"1:3:6"`, `W/"1:3:6"`, `"x", "1:3:6"`, "*"} {
		get(query, "If-None-Match", tag).want(t, 304, "ETag", `"1:3:6"`, "Stream-Next-Offset", tail, "Stream-Up-To-Date", "true", "Cache-Control", cached)
	}
	n.apply(true, stream.Append{Name: "s", Close: true})
	get(query, "If-None-Match", `"1:3:6"`).want(t, 200, "ETag", `"1:3:6:c"`, "Stream-Closed", "true", "Stream-Up-To-Date", "true")
	get("", "If-None-Match", `"1:0:3"`).want(t, 304, "Stream-Closed", "", "Stream-Up-To-Date", "")
	get("?offset="+tail).want(t, 200, "Content-Length", "0", "Stream-Closed", "true", "ETag", `"1:6:6:c"`)
	get("?offset=now").want(t, 200, "Stream-Closed", "true", "Stream-Up-To-Date", "true")

	// Point 13 and §4: an offset of an earlier life is gone, and the tag is another.
	n.apply(true, stream.Delete{Name: "s"}, create("s", text, "abcdef"))
	get("?offset="+tail).want(t, 410)
	get("", "If-None-Match", `"1:0:3"`).want(t, 200, "ETag", `"2:0:6"`)
}

func TestJSONReadsAreOneArray(t *testing.T) {
	n := newNode(t)
	n.apply(true, stream.Create{Name: "j", ContentType: "application/json"})
	for i := range 20 {
		n.apply(true, appendTo("j", "application/json", fmt.Sprintf(`[{"n": %d}, [%d]]`, i, i)))
	}
	s := n.serve(httpapi.Config{ChunkBytes: 50})
	var all []any
	for offset := "-1"; ; {
		a := do(s, http.MethodGet, base+"j?offset="+offset, "")
		a.want(t, 200, "Content-Type", "application/json", "Content-Length", fmt.Sprint(len(a.text())))
		var part []any
		if err := json.Unmarshal([]byte(a.text()), &part); err != nil {
			t.Fatalf("%s: %v", a.text(), err)
		}
		all = append(all, part...)
		offset = a.header.Get("Stream-Next-Offset")
		if a.header.Get("Stream-Up-To-Date") == "true" {
			break
		}
	}
	if len(all) != 40 || fmt.Sprint(all[38:]) != "[map[n:19] [19]]" {
		t.Fatalf("got %v", all)
	}
}

func TestHeadAnswers(t *testing.T) {
	n := newNode(t)
	n.apply(true, withTTL(create("s", text, "abc"), 3600))
	s := n.serve(httpapi.Config{})
	a := do(s, http.MethodHead, base+"s", "")
	a.want(t, 200, "Content-Type", "text/plain", "Stream-Next-Offset", "0000000000000001_0000000000000003", "Stream-TTL", "3600",
		"Stream-Expires-At", "", "Stream-Closed", "", "Cache-Control", "no-store", "ETag", `"1:0:3"`)
	do(s, http.MethodHead, base+"s", "", "If-None-Match", `"1:0:3"`).want(t, 304, "Stream-Next-Offset", "0000000000000001_0000000000000003")
	n.apply(true, stream.Append{Name: "s", Close: true}, stream.Create{Name: "fork", Fork: &stream.Fork{Source: "s"}})
	do(s, http.MethodHead, base+"s", "").want(t, 200, "Stream-Closed", "true", "ETag", `"1:0:3:c"`)
	do(s, http.MethodHead, base+"fork", "").want(t, 200, "ETag", `"2:0:3"`, "Stream-TTL", "3600")
	n.apply(true, stream.Delete{Name: "s"})
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodDelete} {
		do(s, method, base+"s", "").want(t, 410)
	}
	do(s, http.MethodPost, base+"s", "x", "Content-Type", "text/plain").want(t, 410)
	do(s, http.MethodPut, base+"s", "").want(t, 409)
}

// TestCachesDoNotOutliveAStream checks that what ends soon is not kept long.
func TestCachesDoNotOutliveAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		s := n.serve(httpapi.Config{})
		for seconds, want := range map[int]string{
			20: "public, max-age=20", 100: "public, max-age=60", 1000: "public, max-age=60, stale-while-revalidate=300",
		} {
			name := stream.Name(fmt.Sprint("s", seconds))
			n.apply(true, withTTL(create(name, text, "x"), seconds))
			do(s, http.MethodGet, base+string(name), "").want(t, 200, "Cache-Control", want)
		}
		time.Sleep(3 * time.Second)
		do(s, http.MethodGet, base+"s20", "").want(t, 200, "Cache-Control", "public, max-age=17")
	})
}

// TestANotModifiedReadsNoData: who asks for news and there is none costs no read of
// what it has; and a tag that does not fit, whatever it is, is answered with data.
func TestANotModifiedReadsNoData(t *testing.T) {
	n := newNode(t)
	from := n.apply(true, create("s", text, "first"))
	n.apply(true, appendTo("s", text, "second"))
	s := n.serve(httpapi.Config{ChunkBytes: 100})
	target := "/v1/stream/s?offset=" + from.String()
	tag := do(s, http.MethodGet, target, "").header.Get("ETag")
	before := n.reads
	for _, tags := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		a := do(s, http.MethodGet, target, "", "If-None-Match", tags)
		a.want(t, 304, "ETag", tag, "Stream-Up-To-Date", "true")
		if a.text() != "" {
			t.Fatalf("got %q", a.text())
		}
	}
	if n.reads != before {
		t.Fatalf("%d reads", n.reads-before)
	}
	n.apply(true, appendTo("s", text, "third"))
	if a := do(s, http.MethodGet, target, "", "If-None-Match", tag); a.status != 200 || a.text() != "secondthird" {
		t.Fatalf("got %d %q", a.status, a.text())
	}
	tag = do(s, http.MethodGet, target, "").header.Get("ETag")
	n.apply(true, stream.Append{Name: "s", Close: true})
	if a := do(s, http.MethodGet, target, "", "If-None-Match", tag); a.status != 200 || a.header.Get("Stream-Closed") != "true" {
		t.Fatalf("a stream that closed is answered %d", a.status)
	}
	n.apply(true, stream.Delete{Name: "s"})
	do(s, http.MethodGet, target, "", "If-None-Match", tag).want(t, 404)
	n.apply(true, create("s", text, "anew"))
	do(s, http.MethodGet, target, "", "If-None-Match", tag).want(t, 410)
}
