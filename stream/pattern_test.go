package stream

import "testing"

func TestPatternsMatchWholeSegments(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/b", "a", false},
		{"a/*", "a/b", true}, {"a/*", "a/b/c", false}, {"a/*", "a", false}, {"a/*", "a/", true},
		{"**", "a", true}, {"**", "a//b", true}, {"a/**", "a", true}, {"a/**", "a/b/c", true}, {"a/**", "ab", false},
		{"**/z", "z", true}, {"**/z", "a/b/z", true}, {"**/z", "a/z/b", false}, {"a/**/z", "a/z", true}, {"a/**/b/**/z", "a/b/b/z", true},
		{"*", "a/b", false}, {"a%2Fb", "a%2Fb", true}, {"a%2fb", "a/b", false}, {"a//b", "a//b", true}, {"a/b", "a//b", false},
		{"%61/b", "a/b", true}, // one spelling of a name is as good as another
		{"A", "a", false}, {"a/%2A", "a/*", true}, {"a/%2A", "a/b", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(Name(c.name)); got != c.want {
			t.Errorf("%s on %s: got %v", c.pattern, c.name, got)
		}
		if again, err := ParsePattern(p.String()); err != nil || again.String() != p.String() {
			t.Errorf("%s became %s, then %s, %v", c.pattern, p, again, err)
		}
	}
}

func TestOnePatternCoversAnother(t *testing.T) {
	for _, c := range []struct {
		wide, narrow string
		want         bool
	}{
		{"**", "a/**", true}, {"**", "**", true}, {"a/**", "**", false}, {"a/**", "a/*/b", true}, {"a/*", "a/**", false}, {"a/*", "a/b", true},
		{"a/b", "a/*", false}, {"*", "*", true}, {"*", "**", false}, {"a/**", "a", true}, {"a/**/z", "a/**", false}, {"a/**/z", "a/x/**/z", true},
		{"a/%2A", "a/*", false}, {"a/*", "a/%2A", true}, {"a/%2A", "a/%2a", true},
	} {
		p, err := ParsePattern(c.wide)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParsePattern(c.narrow)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Covers(q); got != c.want {
			t.Errorf("%s over %s: got %v", c.wide, c.narrow, got)
		}
	}
}

// FuzzPatternsCover: what one covers it matches all names of.
func FuzzPatternsCover(f *testing.F) {
	f.Add("a/**/z", "a/*/z", "a/b/z")
	f.Add("**/*", "*/**", "a")
	f.Fuzz(func(t *testing.T, wide, narrow, name string) {
		p, err := ParsePattern(wide)
		if err != nil {
			return
		}
		q, err := ParsePattern(narrow)
		if err != nil {
			return
		}
		n, err := ParseName(name)
		if err != nil {
			return
		}
		if p.Covers(q) && q.Match(n) && !p.Match(n) {
			t.Fatalf("%s covers %s, which alone matches %s", p, q, n)
		}
		if !p.Covers(p) || PatternOf(n).Covers(p) && p.Match(n) != true {
			t.Fatalf("%s does not cover itself, or %s covers more than it matches", p, n)
		}
		if PatternOf(n).Match(n) != true {
			t.Fatalf("the pattern of %s does not match it", n)
		}
	})
}
