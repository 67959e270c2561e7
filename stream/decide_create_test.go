package stream

import (
	"strconv"
	"testing"
)

func TestCreate(t *testing.T) {
	r := newReplica(t)
	out := r.must(Create{Name: "bare"})
	if !out.Created || out.ContentType != DefaultContentType || out.Next != (Offset{1, 0}) || out.Closed {
		t.Fatalf("bare: %+v", out)
	}
	out = r.must(Create{Name: "closed", ContentType: "text/plain", Closed: true, Body: Payload{Data: []byte("all")}})
	if !out.Created || !out.Closed || out.Next != (Offset{2, 3}) || r.text("closed") != "all" {
		t.Fatalf("closed with a body: %+v", out)
	}
	r.refused(Closed, add("closed", "x"))
	if out = r.must(Append{Name: "closed", Close: true}); !out.Duplicate {
		t.Fatalf("close-only on what was created closed: %+v", out)
	}
	raw := r.must(Create{Name: "raw", ContentType: "application/json", Body: Payload{Data: []byte(" [1, [2]] "), Raw: true}})
	if r.text("raw") != "1,[2]," || raw.Next.Pos != 6 {
		t.Fatalf("a raw body is framed to %q", r.text("raw"))
	}
	r.refused(BadJSON, Create{Name: "bad", ContentType: "application/json", Body: Payload{Data: []byte("{"), Raw: true}})
	if r.streams["bad"] != nil || r.drawn != 3 {
		t.Fatalf("a refused creation left %v and drew %d", r.streams["bad"], r.drawn)
	}
}

// TestRecreationMatchesTheWholeConfiguration is §5.1: each line is an existing
// stream and a PUT of the same name.
func TestRecreationMatchesTheWholeConfiguration(t *testing.T) {
	plain := Create{Name: "a", ContentType: "text/plain"}
	with := func(change func(*Create)) Create { c := plain; change(&c); return c }
	tests := map[string]struct {
		first, second Create
		same          bool
	}{
		"equal":                      {plain, plain, true},
		"another body":               {text("a", "x"), text("a", "y"), true},
		"type in other case":         {plain, with(func(c *Create) { c.ContentType = "TEXT/plain; charset=utf-8" }), true},
		"another type":               {plain, with(func(c *Create) { c.ContentType = "text/html" }), false},
		"no type against text":       {plain, with(func(c *Create) { c.ContentType = "" }), false},
		"no type against none":       {Create{Name: "a"}, Create{Name: "a"}, true},
		"no type against default":    {Create{Name: "a"}, Create{Name: "a", ContentType: DefaultContentType}, true},
		"open PUT, closed stream":    {with(func(c *Create) { c.Closed = true }), plain, false},
		"closed PUT, open stream":    {plain, with(func(c *Create) { c.Closed = true }), false},
		"closed PUT, closed stream":  {with(func(c *Create) { c.Closed = true }), with(func(c *Create) { c.Closed = true }), true},
		"same TTL":                   {with(func(c *Create) { c.Lifetime = ttl(t, 60) }), with(func(c *Create) { c.Lifetime = ttl(t, 60) }), true},
		"another TTL":                {with(func(c *Create) { c.Lifetime = ttl(t, 60) }), with(func(c *Create) { c.Lifetime = ttl(t, 61) }), false},
		"TTL dropped":                {with(func(c *Create) { c.Lifetime = ttl(t, 60) }), plain, false},
		"TTL added":                  {plain, with(func(c *Create) { c.Lifetime = ttl(t, 60) }), false},
		"TTL against Expires-At":     {with(func(c *Create) { c.Lifetime = ttl(t, 60) }), with(func(c *Create) { c.Lifetime = expiresAt(t, 1_700_000_060_000) }), false},
		"same Expires-At":            {with(func(c *Create) { c.Lifetime = expiresAt(t, 1_800_000_000_000) }), with(func(c *Create) { c.Lifetime = expiresAt(t, 1_800_000_000_000) }), true},
		"another Expires-At":         {with(func(c *Create) { c.Lifetime = expiresAt(t, 1_800_000_000_000) }), with(func(c *Create) { c.Lifetime = expiresAt(t, 1_800_000_000_001) }), false},
		"fork of itself, over plain": {plain, fork("a", "a", nil, 0), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			r.must(tt.first)
			before := *r.streams["a"]
			if !tt.same {
				r.refused(ConfigMismatch, tt.second)
			} else if out := r.must(tt.second); out.Created || out.Next != before.Tail() || out.ContentType != before.ContentType || out.Closed != before.Closed {
				t.Fatalf("%+v over %+v", out, before)
			}
			if r.drawn != 1 || r.streams["a"].Pos != before.Pos || r.streams["a"].Incarnation != 1 {
				t.Fatalf("a PUT changed what exists: %+v", r.streams["a"])
			}
		})
	}
}

func TestClosureMismatchAfterALaterClose(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	r.must(Append{Name: "a", Close: true})
	r.refused(ConfigMismatch, text("a", ""))
	c := text("a", "")
	c.Closed = true
	if out := r.must(c); !out.Closed || out.Created {
		t.Fatalf("%+v", out)
	}
}

func TestDeleteAndRecreationAreIsolated(t *testing.T) {
	r := newReplica(t)
	old := r.must(text("a", "old")).Next
	s := add("a", "seq")
	s.Seq = "9"
	r.must(s)
	r.must(Delete{"a"})
	for _, c := range []Command{add("a", "x"), Delete{"a"}, Touch{"a"}} {
		r.refused(NotFound, c)
	}
	out := r.must(Create{Name: "a", ContentType: "text/plain"})
	if !out.Created || out.Next.Compare(old) <= 0 || r.text("a") != "" {
		t.Fatalf("%+v: a re-creation must start empty and above %v", out, old)
	}
	if _, where := r.streams["a"].Locate(old); where != Earlier {
		t.Fatalf("an offset of the earlier life is located as %d", where)
	}
	s.Seq = "1"
	r.must(s) // Stream-Seq begins anew
}

func TestSlidingLifetime(t *testing.T) {
	const window = 10_000
	uses := map[string]Command{
		"append":         add("a", "x"),
		"touch":          Touch{"a"},
		"re-creation":    Create{Name: "a", ContentType: "text/plain", Lifetime: ttl(t, 10)},
		"close":          Append{Name: "a", Close: true},
		"producer close": by(Append{Name: "a", Close: true}, "p", 0, 0),
		"duplicate":      by(add("a", "x"), "q", 0, 0),
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			start := r.now
			r.must(Create{Name: "a", ContentType: "text/plain", Lifetime: ttl(t, 10)})
			r.must(by(add("a", "x"), "q", 0, 0))
			r.now = start + window - 1
			r.must(use)
			if got := r.streams["a"].Deadline; got != r.now+window {
				t.Fatalf("%T moved the deadline by %d, want %d", use, got-start, 2*window-1)
			}
			r.now = start + 2*window - 2
			r.must(Expire{"a"}) // still alive
			if s := r.streams["a"]; s.Indexed != s.Deadline || s.Deadline != start+2*window-1 {
				t.Fatalf("Expire is no use, and must move the index: %+v", s)
			}
			r.now++
			r.refused(NotFound, Expire{"a"})
			if len(r.streams) != 0 {
				t.Fatal("it was not removed")
			}
		})
	}
}

func TestClosedStreamsSlideToo(t *testing.T) {
	r := newReplica(t)
	r.must(Create{Name: "a", ContentType: "text/plain", Lifetime: ttl(t, 10)})
	r.must(closing(by(add("a", "x"), "p", 0, 0)))
	for _, c := range []Command{Append{Name: "a", Close: true}, closing(by(add("a", "x"), "p", 0, 0)), Touch{"a"}} {
		r.now += 9_000
		r.must(c)
		if got := r.streams["a"].Deadline; got != r.now+10_000 {
			t.Fatalf("after %+v the deadline is %d away", c, got-r.now)
		}
	}
}

func TestFixedLifetimeNeverSlides(t *testing.T) {
	r := newReplica(t)
	end := r.now + 10_000
	r.must(Create{Name: "a", ContentType: "text/plain", Lifetime: expiresAt(t, end)})
	for _, c := range []Command{add("a", "x"), Touch{"a"}, Append{Name: "a", Close: true}, Expire{"a"}} {
		r.now += 2_000
		r.must(c)
		if got := r.streams["a"].Deadline; got != end {
			t.Fatalf("%T moved the deadline by %d", c, got-end)
		}
	}
	r.now = end
	r.refused(NotFound, Touch{"a"})
}

func TestLifetimesThatAreOverAtOnce(t *testing.T) {
	for name, l := range map[string]Lifetime{"TTL 0": ttl(t, 0), "past": expiresAt(t, 5), "before 1970": expiresAt(t, -5)} {
		r := newReplica(t)
		if out := r.must(Create{Name: "a", ContentType: "text/plain", Lifetime: l}); !out.Created {
			t.Fatalf("%s: %+v", name, out)
		}
		r.refused(NotFound, add("a", "x"))
		if out := r.must(Create{Name: "a", ContentType: "text/plain"}); !out.Created {
			t.Fatalf("%s: re-creation after expiry: %+v", name, out)
		}
	}
}

// Whoever comes first after the deadline finds it passed, and removes it.
func TestAnyCommandFindsExpiry(t *testing.T) {
	tests := map[string]struct {
		c    Command
		code Code
	}{
		"append": {add("a", "x"), NotFound}, "close": {Append{Name: "a", Close: true}, NotFound},
		"duplicate": {by(add("a", "x"), "p", 0, 0), NotFound},
		"delete":    {Delete{"a"}, NotFound}, "touch": {Touch{"a"}, NotFound}, "expire": {Expire{"a"}, NotFound},
		"fork": {fork("f", "a", nil, 0), ForkSourceNotFound}, "self-fork": {fork("a", "a", nil, 0), ForkSourceNotFound},
		"refused creation": {Create{Name: "a", ContentType: "application/json", Body: Payload{Data: []byte("{"), Raw: true}}, BadJSON},
		"creation":         {text("a", "new"), 0},
	}
	for name, tt := range tests {
		for _, soft := range []bool{false, true} {
			t.Run(name+" soft "+strconv.FormatBool(soft), func(t *testing.T) {
				r := newReplica(t)
				r.must(Create{Name: "a", ContentType: "text/plain", Lifetime: ttl(t, 1)})
				r.must(by(add("a", "x"), "p", 0, 0))
				if soft {
					c := fork("keeper", "a", nil, 0)
					c.Lifetime = ttl(t, 1000)
					r.must(c)
				}
				r.now += 1000
				code := tt.code
				if soft {
					switch code {
					case NotFound:
						code = Gone
					case ForkSourceNotFound:
						code = ForkSourceDeleted
					}
					if _, create := tt.c.(Create); create && name != "fork" {
						code = PathSoftDeleted
					}
				}
				if code != 0 {
					r.refused(code, tt.c)
				} else {
					r.must(tt.c)
				}
				if s := r.streams["a"]; soft && (s == nil || !s.Deleted) || !soft && s != nil && s.Incarnation == 1 {
					t.Fatalf("the expired stream is %+v", s)
				}
				if soft && r.text("keeper") != "x" {
					t.Fatalf("the fork reads %q", r.text("keeper"))
				}
			})
		}
	}
}

func TestMachineTimeOfTouchOnOthers(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	before := *r.streams["a"]
	var change Change
	if got := Decide(r, r.now+1, Touch{"a"}, &change); got.Rejection != nil || len(change.Streams) != 0 {
		t.Fatalf("a touch of a stream without a lifetime: %+v, changes %+v", got, change.Streams)
	}
	if r.streams["a"].Deadline != before.Deadline {
		t.Fatal("it got a deadline")
	}
}

func TestOpeningASessionDrawsANumberOfItsOwn(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	s := r.must(OpenSession{}).Session
	next := r.must(text("b", "")).Next.Incarnation
	if s != 2 || next != 3 {
		t.Fatalf("session %d, then incarnation %d", s, next)
	}
}
