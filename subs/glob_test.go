package subs

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mainstem/stream"
)

func TestGlobsMatchWholeSegments(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		yes, not []stream.Name
	}{
		{"events/*", []stream.Name{"events/a", "events/"}, []stream.Name{"events", "events/a/b", "event/a", "xevents/a"}},
		{"events/**", []stream.Name{"events", "events/a", "events/a/b/c"}, []stream.Name{"eventsx", "x/events"}},
		{"**", []stream.Name{"a", "a/b", "a//b"}, nil},
		{"**/log", []stream.Name{"log", "a/log", "a/b/log"}, []stream.Name{"a/log/b", "blog"}},
		{"a/**/z", []stream.Name{"a/z", "a/b/z", "a/b/c/z", "a/z/z"}, []stream.Name{"a", "z", "a/b", "b/a/z"}},
		{"a/**/m/**/z", []stream.Name{"a/m/z", "a/x/m/y/z", "a/m/m/z"}, []stream.Name{"a/z", "a/z/m"}},
		{"**/**", []stream.Name{"a", "a/b"}, nil},
		{"*/b", []stream.Name{"a/b", "/b"}, []stream.Name{"b", "a/a/b"}},
		{"a/%2A", []stream.Name{"a/*"}, []stream.Name{"a/b"}},
		{"a/%2a%7E", []stream.Name{"a/*~"}, nil},
		{"/lead/*", []stream.Name{"lead/a"}, []stream.Name{"/lead/a"}},
		{"a/__ds", []stream.Name{"a/__ds"}, nil},
		{"plain", []stream.Name{"plain"}, []stream.Name{"plain/x", "plai"}},
	} {
		p, no := ParsePattern(c.pattern)
		if no != nil {
			t.Fatalf("%s: %v", c.pattern, no)
		}
		var x Index
		x.Add(p, 7)
		for _, name := range c.yes {
			if !p.Match(name) || len(x.Match(name)) != 1 {
				t.Errorf("%s does not match %q", c.pattern, name)
			}
			if !strings.HasPrefix(string(name), p.Prefix()) {
				t.Errorf("%s: %q does not begin with the prefix %q", c.pattern, name, p.Prefix())
			}
		}
		for _, name := range c.not {
			if p.Match(name) || len(x.Match(name)) != 0 {
				t.Errorf("%s matches %q", c.pattern, name)
			}
		}
		again, no := ParsePattern(p.String())
		if no != nil || again.String() != p.String() {
			t.Errorf("%s: its one form %q is read as %q, %v", c.pattern, p, again, no)
		}
	}
}

func TestBadGlobsAreRefused(t *testing.T) {
	for _, bad := range []string{"", "/", "a*", "*a", "a/**b", "***", "__ds/x", "__ds", "a/%zz", "a/..", strings.Repeat("a/", 64) + "a", strings.Repeat("a", 1025)} {
		if p, no := ParsePattern(bad); no == nil || no.Code != InvalidRequest {
			t.Errorf("%q was taken as %q, %v", bad, p, no)
		}
	}
}

// slowMatch is the specification's words as a regular expression.
func slowMatch(p Pattern, name stream.Name) bool {
	expr := "^"
	for _, g := range p.Segments() {
		switch g.Kind {
		case stream.AnyMany:
			expr += "(?:/[^/]*)*"
		case stream.AnyOne:
			expr += "/[^/]*"
		default:
			expr += "/" + regexp.QuoteMeta(g.Text)
		}
	}
	return regexp.MustCompile(expr + "$").MatchString("/" + string(name))
}

func FuzzGlobs(f *testing.F) {
	f.Add("a/**/b", "a/x/b")
	f.Add("**/*/c", "c")
	f.Add("%2A/*", "*/x")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, no := ParsePattern(pattern)
		name, err := stream.ParseName(path)
		if no != nil || err != nil {
			return
		}
		got, want := p.Match(name), slowMatch(p, name)
		var x Index
		x.Add(p, 3)
		if indexed := len(x.Match(name)) == 1; got != want || indexed != want {
			t.Fatalf("%q on %q: matched %v, indexed %v, want %v", p, name, got, indexed, want)
		}
		if want && !strings.HasPrefix(string(name), p.Prefix()) {
			t.Fatalf("%q matches %q, which does not begin with %q", p, name, p.Prefix())
		}
		x.Remove(p, 3)
		if x.Len() != 0 || !x.root.bare() {
			t.Fatalf("%q left something behind", p)
		}
	})
}

func TestTheIndexFindsWhatEachPatternMatches(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	part := func(stars bool) string {
		if n := g.IntN(6); stars && n < 2 {
			return []string{"*", "**"}[n]
		}
		return string(rune('a' + g.IntN(3)))
	}
	path := func(stars bool) string {
		parts := make([]string, 1+g.IntN(4))
		for i := range parts {
			parts[i] = part(stars)
		}
		return strings.Join(parts, "/")
	}
	var x Index
	patterns := map[uint64]Pattern{}
	found := 0
	for step := range uint64(3000) {
		if g.IntN(3) > 0 || len(patterns) == 0 {
			p, no := ParsePattern(path(true))
			if no != nil {
				t.Fatal(no)
			}
			patterns[step] = p
			x.Add(p, step)
		} else {
			for number, p := range patterns {
				x.Remove(p, number)
				delete(patterns, number)
				break
			}
		}
		name := stream.Name(path(false))
		var want []uint64
		for number, p := range patterns {
			if p.Match(name) {
				want = append(want, number)
			}
		}
		slices.Sort(want)
		found += len(want)
		if got := x.Match(name); !slices.Equal(got, want) {
			t.Fatalf("step %d, %q: got %v, want %v", step, name, got, want)
		}
	}
	if found == 0 || x.Len() != len(patterns) {
		t.Fatalf("%d matches; the index counts %d of %d", found, x.Len(), len(patterns))
	}
}

func BenchmarkIndexWithoutAMatch(b *testing.B) {
	var x Index
	for i := range uint64(10_000) {
		p, _ := ParsePattern(fmt.Sprintf("tenant-%d/**/events/*", i))
		x.Add(p, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if x.Match("bench/0/events/x") != nil {
			b.Fatal("matched")
		}
	}
}
