package stream

import (
	"bytes"
	"slices"
	"testing"
)

// threeAppends makes a stream of incarnation 1 with ends at 2, 5 and 9.
func threeAppends(t testing.TB) *replica {
	r := newReplica(t)
	r.must(text("src", "aa"))
	r.must(add("src", "bbb"))
	r.must(add("src", "cccc"))
	return r
}

func TestForkDivergence(t *testing.T) {
	tests := map[string]struct {
		offset *Offset
		code   Code
		body   string
	}{
		"tail by default":      {nil, 0, "aabbbcccc"},
		"tail by name":         {at(1, 9), 0, "aabbbcccc"},
		"middle":               {at(1, 5), 0, "aabbb"},
		"first":                {at(1, 2), 0, "aa"},
		"start":                {at(1, 0), 0, ""},
		"all zeros":            {at(0, 0), 0, ""},
		"inside an append":     {at(1, 3), BadOffset, ""},
		"before the first end": {at(1, 1), BadOffset, ""},
		"beyond the tail":      {at(1, 10), ForkOffsetBeyondTail, ""},
		"far beyond":           {at(1, offsetMax), ForkOffsetBeyondTail, ""},
		"a later incarnation":  {at(2, 0), ForkOffsetBeyondTail, ""},
		"incarnation 0":        {at(0, 5), BadOffset, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := threeAppends(t)
			if tt.code != 0 {
				r.refused(tt.code, fork("f", "src", tt.offset, 0))
				if r.streams["src"].Refs != 0 || r.streams["f"] != nil || r.drawn != 1 {
					t.Fatalf("a refused fork left refs %d, %v", r.streams["src"].Refs, r.streams["f"])
				}
				return
			}
			out := r.must(fork("f", "src", tt.offset, 0))
			if !out.Created || out.ContentType != "text/plain" || out.Next != (Offset{1, uint64(len(tt.body))}) || r.text("f") != tt.body {
				t.Fatalf("%+v, body %q; want %q, and the source's offset", out, r.text("f"), tt.body)
			}
			if next := r.must(add("f", "!")).Next; next != (Offset{2, uint64(len(tt.body)) + 1}) || r.text("f") != tt.body+"!" || r.text("src") != "aabbbcccc" {
				t.Fatalf("own append at %v, body %q", next, r.text("f"))
			}
			r.must(add("src", "dd"))
			if r.text("f") != tt.body+"!" {
				t.Fatalf("the source's append shows in the fork: %q", r.text("f"))
			}
		})
	}
}

func TestForkOfAnEarlierLifeIsRefused(t *testing.T) {
	r := threeAppends(t)
	r.must(Delete{"src"})
	r.must(text("src", "aa"))
	r.refused(BadOffset, fork("f", "src", at(1, 2), 0))
	r.refused(ForkOffsetBeyondTail, fork("f", "src", at(3, 0), 0))
	r.must(fork("f", "src", at(2, 2), 0))
}

func TestForkErrors(t *testing.T) {
	r := threeAppends(t)
	r.refused(ForkSourceNotFound, fork("f", "nothing", nil, 0))
	r.refused(ForkSourceNotFound, fork("f", "f", nil, 0))
	c := fork("f", "src", nil, 0)
	c.ContentType = "text/html"
	r.refused(ForkTypeMismatch, c)
	c.ContentType = "TEXT/PLAIN; charset=utf-8"
	r.must(c)
	r.must(text("other", ""))
	r.refused(ConfigMismatch, fork("other", "src", nil, 0))
	r.refused(ConfigMismatch, fork("other", "nothing", nil, 0))
	r.refused(ConfigMismatch, text("f", "")) // a fork is no plain stream
	r.must(Delete{"src"})
	r.refused(ForkSourceDeleted, fork("g", "src", nil, 0))
	if r.streams["src"].Refs != 1 {
		t.Fatalf("%d references, want 1", r.streams["src"].Refs)
	}
}

func TestARefusedForkLeaksNoReference(t *testing.T) {
	r := newReplica(t)
	r.must(Create{Name: "j", ContentType: "application/json", Body: jsonBody(t, "[1,2]")})
	raw := fork("f", "j", nil, 0)
	raw.Body = Payload{Data: []byte("{broken"), Raw: true}
	r.refused(BadJSON, raw)
	r.refused(BadSubOffset, fork("f", "j", at(1, 0), 3))
	r.refused(BadOffset, fork("f", "j", at(1, 2), 0)) // between two messages of one append
	typed := fork("f", "j", nil, 0)
	typed.ContentType = "text/plain"
	r.refused(ForkTypeMismatch, typed)
	r.must(Delete{"j"})
	if r.streams["j"] != nil {
		t.Fatalf("a reference leaked: %+v", r.streams["j"])
	}
}

func TestForkSubOffset(t *testing.T) {
	tests := map[string]struct {
		offset *Offset
		sub    uint64
		code   Code
		body   string
	}{
		"zero":             {at(1, 2), 0, 0, "aa"},
		"one byte":         {at(1, 2), 1, 0, "aab"},
		"whole append":     {at(1, 2), 3, 0, "aabbb"},
		"overshoot":        {at(1, 2), 4, BadSubOffset, ""}, // though more appends follow
		"from the start":   {at(0, 0), 1, 0, "a"},
		"start, overshoot": {at(1, 0), 3, BadSubOffset, ""},
		"last append":      {at(1, 5), 4, 0, "aabbbcccc"},
		"at the tail":      {at(1, 9), 1, BadSubOffset, ""},
		"tail by default":  {nil, 1, BadSubOffset, ""},
		"enormous":         {at(1, 2), 1<<64 - 1, BadSubOffset, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := threeAppends(t)
			if tt.code != 0 {
				r.refused(tt.code, fork("f", "src", tt.offset, tt.sub))
				return
			}
			out := r.must(fork("f", "src", tt.offset, tt.sub))
			if r.text("f") != tt.body || out.Next.Pos != uint64(len(tt.body)) {
				t.Fatalf("%q, next %v; want %q", r.text("f"), out.Next, tt.body)
			}
			if tt.sub > 0 && out.Next.Incarnation != 2 {
				t.Fatalf("the prefix ends at %v: the fork must mint its own offset", out.Next)
			}
			if again := r.must(fork("f", "src", tt.offset, tt.sub)); again.Created {
				t.Fatalf("re-creation: %+v", again)
			}
			if tt.offset != nil {
				r.refused(ConfigMismatch, fork("f", "src", tt.offset, tt.sub+1))
			}
		})
	}
	r := newReplica(t)
	r.must(text("empty", ""))
	r.refused(BadSubOffset, fork("f", "empty", nil, 1))
	r.refused(BadSubOffset, fork("f", "empty", at(0, 0), 1))
}

func TestForkSubOffsetCountsJSONMessages(t *testing.T) {
	tests := map[string]struct {
		offset *Offset
		sub    uint64
		code   Code
		body   string
	}{
		"one":       {at(1, 0), 1, 0, `{"a":1},`},
		"two":       {at(1, 0), 2, 0, `{"a":1},[2,3],`},
		"all":       {at(1, 0), 3, 0, `{"a":1},[2,3],4,`},
		"overshoot": {at(1, 0), 4, BadSubOffset, ""},
		"second":    {at(1, 16), 1, 0, `{"a":1},[2,3],4,5,`},
		"past it":   {at(1, 16), 2, BadSubOffset, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			r.must(Create{Name: "j", ContentType: "application/json", Body: jsonBody(t, `[{"a":1}, [2,3], 4]`)})
			r.must(Append{Name: "j", ContentType: "application/json", Body: jsonBody(t, `5`)})
			if tt.code != 0 {
				r.refused(tt.code, fork("f", "j", tt.offset, tt.sub))
				return
			}
			r.must(fork("f", "j", tt.offset, tt.sub))
			if r.text("f") != tt.body {
				t.Fatalf("%q, want %q", r.text("f"), tt.body)
			}
			// The prefix is an append of messages like any other: it can be forked.
			if tt.sub == 2 {
				r.must(fork("g", "f", at(0, 0), 1))
				if got := r.text("g"); got != `{"a":1},` {
					t.Fatalf("a fork inside the prefix reads %q", got)
				}
				r.refused(BadSubOffset, fork("h", "f", at(0, 0), 3)) // beyond what the fork took
			}
		})
	}
}

func TestForksOfForks(t *testing.T) {
	r := threeAppends(t)                  // src: aa bbb cccc
	r.must(fork("f", "src", at(1, 5), 2)) // f: aa bbb | cc
	r.must(add("f", "ff"))                // f: aa bbb | cc ff
	r.must(fork("g", "f", at(2, 7), 1))   // g: aa bbb cc | f
	r.must(add("g", "g"))                 // g: … | f g
	r.must(fork("h", "g", nil, 0))        // h: all of g
	r.must(fork("low", "h", at(1, 2), 1)) // low: aa | b, from data of src through three forks
	r.must(fork("mid", "h", at(2, 7), 0)) // mid: at the seam of f and g
	for name, want := range map[Name]string{"f": "aabbbccff", "g": "aabbbccfg", "h": "aabbbccfg", "low": "aab", "mid": "aabbbcc"} {
		if got := r.text(name); got != want {
			t.Errorf("%s reads %q, want %q", name, got, want)
		}
		offsets := r.offsets(r.streams[name])
		if !ascending(offsets) {
			t.Errorf("%s: offsets do not grow: %v", name, offsets)
		}
		for i, o := range offsets {
			if pos, where := r.streams[name].Locate(o); where != Here || i > 0 && pos != o.Pos {
				t.Errorf("%s: %v is located at %d, %d", name, o, pos, where)
			}
		}
	}
	r.refused(BadOffset, fork("x", "h", at(1, 9), 0)) // src's, but after the divergence
	r.refused(BadOffset, fork("x", "h", at(2, 9), 0)) // f's, but after the divergence
	r.refused(BadOffset, fork("x", "mid", at(3, 8), 0))
	if got := r.offsets(r.streams["h"]); !slices.Equal(got, []Offset{{1, 0}, {1, 2}, {1, 5}, {2, 7}, {3, 8}, {3, 9}}) {
		t.Fatalf("h mints %v", got)
	}
}

func TestForksStartFreshForWriters(t *testing.T) {
	r := newReplica(t)
	r.must(text("src", ""))
	a := by(add("src", "x"), "p", 4, 0)
	a.Seq = "9"
	r.must(closing(a))
	out := r.must(fork("f", "src", nil, 0))
	if out.Closed {
		t.Fatal("a fork of a closed stream is closed")
	}
	b := by(add("f", "y"), "p", 0, 0) // a lower epoch and Stream-Seq are new here
	b.Seq = "1"
	if out := r.must(b); out.Duplicate || r.text("f") != "xy" {
		t.Fatalf("%+v, %q", out, r.text("f"))
	}
}

func TestForkMayBeCreatedClosedWithABody(t *testing.T) {
	r := newReplica(t)
	r.must(Create{Name: "j", ContentType: "application/json; charset=utf-8", Body: jsonBody(t, "1")})
	c := fork("f", "j", nil, 0)
	c.Closed, c.Body = true, Payload{Data: []byte("[2, 3]"), Raw: true}
	if out := r.must(c); !out.Closed || r.text("f") != "1,2,3," || !bytes.Equal([]byte(out.ContentType), []byte("application/json; charset=utf-8")) {
		t.Fatalf("%+v, %q", out, r.text("f"))
	}
	r.refused(ConfigMismatch, fork("f", "j", nil, 0))
	if out := r.must(c); out.Created {
		t.Fatalf("re-creation with closure: %+v", out)
	}
}

func TestForkRecreationMatching(t *testing.T) {
	tests := map[string]struct {
		first, second Create
		same          bool
	}{
		"equal":                      {fork("f", "src", at(1, 5), 1), fork("f", "src", at(1, 5), 1), true},
		"offset left out":            {fork("f", "src", at(1, 5), 0), fork("f", "src", nil, 0), true},
		"offset named later":         {fork("f", "src", nil, 0), fork("f", "src", at(1, 9), 0), true},
		"another offset":             {fork("f", "src", at(1, 5), 0), fork("f", "src", at(1, 2), 0), false},
		"zeros and the start":        {fork("f", "src", at(0, 0), 0), fork("f", "src", at(1, 0), 0), true},
		"the start and zeros":        {fork("f", "src", at(1, 0), 0), fork("f", "src", at(0, 0), 0), true},
		"zeros against the middle":   {fork("f", "src", at(1, 5), 0), fork("f", "src", at(0, 0), 0), false},
		"another sub-offset":         {fork("f", "src", at(1, 5), 1), fork("f", "src", at(1, 5), 2), false},
		"raw, not resolved":          {fork("f", "src", at(1, 2), 3), fork("f", "src", at(1, 5), 0), false},
		"another source":             {fork("f", "src", nil, 0), fork("f", "other", nil, 0), false},
		"type inherited, then named": {fork("f", "src", nil, 0), Create{Name: "f", ContentType: "text/plain", Fork: &Fork{Source: "src"}}, true},
		"another type":               {fork("f", "src", nil, 0), Create{Name: "f", ContentType: "text/html", Fork: &Fork{Source: "src"}}, false},
		"TTL added":                  {fork("f", "src", nil, 0), Create{Name: "f", Lifetime: ttl(t, 9), Fork: &Fork{Source: "src"}}, false},
		"TTL dropped":                {Create{Name: "f", Lifetime: ttl(t, 9), Fork: &Fork{Source: "src"}}, fork("f", "src", nil, 0), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := threeAppends(t)
			r.must(text("other", ""))
			r.must(tt.first)
			for range 2 { // and still so when the source has grown and gone
				if tt.same {
					if out := r.must(tt.second); out.Created || out.Next != r.streams["f"].Tail() {
						t.Fatalf("%+v", out)
					}
				} else {
					r.refused(ConfigMismatch, tt.second)
				}
				if got := r.streams["src"].Refs; got != 1 {
					t.Fatalf("%d references", got)
				}
				if !r.streams["src"].Deleted {
					r.must(add("src", "more"))
					r.must(Delete{"src"})
				}
			}
		})
	}
}

// §4.2, the table of lifetimes: nine rows.
func TestForkLifetimeTable(t *testing.T) {
	none, slide, fix := Lifetime{}, ttl(t, 100), expiresAt(t, 1_700_000_500_000)
	own, ownFix := ttl(t, 7), expiresAt(t, 1_700_000_900_000)
	tests := map[string]struct{ source, request, want Lifetime }{
		"none, none":             {none, none, none},
		"none, TTL":              {none, own, own},
		"none, Expires-At":       {none, ownFix, ownFix},
		"TTL, none":              {slide, none, slide},
		"TTL, TTL":               {slide, own, own},
		"TTL, Expires-At":        {slide, ownFix, ownFix},
		"Expires-At, none":       {fix, none, fix},
		"Expires-At, TTL":        {fix, own, own},
		"Expires-At, Expires-At": {fix, ownFix, ownFix},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			r.must(Create{Name: "src", ContentType: "text/plain", Lifetime: tt.source, Body: Payload{Data: []byte("x")}})
			r.now += 50_000
			c := fork("f", "src", nil, 0)
			c.Lifetime = tt.request
			r.must(c)
			f := r.streams["f"]
			if f.Lifetime != tt.want || f.Deadline != tt.want.deadline(r.now) {
				t.Fatalf("the fork got %+v until %d; want %+v", f.Lifetime, f.Deadline, tt.want)
			}
			sourceDeadline := r.streams["src"].Deadline
			if out := r.must(c); out.Created { // §4.2: idempotent, inherited or not
				t.Fatalf("re-creation: %+v", out)
			}
			r.now += 3_000
			r.must(Touch{"f"})
			if r.streams["f"].Deadline != tt.want.deadline(r.now) || r.streams["src"].Deadline != sourceDeadline {
				t.Fatal("fork and source are not renewed independently")
			}
			if tt.want.IsNone() || tt.source.IsNone() {
				return
			}
			r.now = 1_700_000_500_000 // the source, unused, has ended; a fork with a later end lives
			r.do(Expire{"src"})
			if later := tt.want == ownFix; later && (r.text("f") != "x" || !r.streams["src"].Deleted) {
				t.Fatal("the fork did not outlive its source")
			}
		})
	}
}

func TestSoftDelete(t *testing.T) {
	r := threeAppends(t)
	r.must(fork("f", "src", at(1, 5), 0))
	r.must(by(add("src", "z"), "p", 0, 0))
	r.must(Delete{"src"})
	for _, c := range []Command{add("src", "x"), Append{Name: "src", Close: true}, by(add("src", "z"), "p", 0, 0), Delete{"src"}, Touch{"src"}, Expire{"src"}} {
		r.refused(Gone, c)
	}
	r.refused(PathSoftDeleted, text("src", ""))
	r.refused(PathSoftDeleted, fork("src", "f", nil, 0))
	r.refused(ForkSourceDeleted, fork("g", "src", nil, 0))
	if r.text("f") != "aabbb" {
		t.Fatalf("the fork reads %q", r.text("f"))
	}
	r.must(Delete{"f"})
	if len(r.streams)+len(r.data)+len(r.producers) != 0 {
		t.Fatalf("left over: %v, %v, %v", r.streams, r.data, r.producers)
	}
	r.refused(NotFound, Delete{"src"})
	if out := r.must(text("src", "")); !out.Created {
		t.Fatalf("%+v", out)
	}
}

func TestCollectionCascadesUpTheChain(t *testing.T) {
	r := threeAppends(t)
	for _, pair := range [][2]Name{{"b", "src"}, {"c", "b"}, {"d", "c"}, {"side", "b"}} {
		r.must(fork(pair[0], pair[1], nil, 0))
		r.must(add(pair[0], "+"))
	}
	for _, name := range []Name{"c", "src", "b"} {
		r.must(Delete{name})
		r.refused(Gone, Delete{name})
	}
	r.must(Delete{"d"}) // takes c with it; b is kept by side
	if r.streams["c"] != nil || r.streams["b"] == nil || r.text("side") != "aabbbcccc++" {
		t.Fatalf("left: %v", r.streams)
	}
	r.now += 1000
	r.must(Delete{"side"}) // takes b, then src
	if len(r.streams)+len(r.data) != 0 {
		t.Fatalf("left: %v", r.streams)
	}
}

func TestExpiryCascadesUpTheChain(t *testing.T) {
	r := threeAppends(t)
	c := fork("b", "src", nil, 0)
	c.Lifetime = ttl(t, 1)
	r.must(c)
	r.must(Delete{"src"})
	r.now += 1000
	r.refused(NotFound, Touch{"b"})
	if len(r.streams)+len(r.data) != 0 {
		t.Fatalf("left: %v", r.streams)
	}
	// A creation that finds its own path expired, and its source gone with it.
	r.must(text("src", "x"))
	r.must(c)
	r.must(Delete{"src"})
	r.now += 1000
	r.refused(ForkSourceNotFound, c)
	if len(r.streams)+len(r.data) != 0 {
		t.Fatalf("left: %v", r.streams)
	}
}

func TestOffsetsGrowOverRecreations(t *testing.T) {
	r := newReplica(t)
	var last Offset
	for range 5 {
		for _, c := range []Command{text("a", "xyz"), add("a", "1"), fork("f", "a", nil, 0), add("f", "2"), Delete{"f"}, Delete{"a"}} {
			next := r.must(c).Next
			if _, deleted := c.(Delete); !deleted && c.target() == "a" {
				if next.String() <= last.String() {
					t.Fatalf("%v after %v", next, last)
				}
				last = next
			}
		}
	}
}
