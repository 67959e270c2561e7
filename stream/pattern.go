package stream

import (
	"fmt"
	"strings"
)

const (
	patternBytesMax    = NameBytesMax
	patternSegmentsMax = 64
)

// Pattern is a glob over stream names: * stands for one segment, ** for any
// number of them, none included, and all else for itself.
type Pattern struct {
	text     string
	segments []Segment
}

// Segment is one part of a pattern, between slashes.
type Segment struct {
	Kind SegmentKind
	Text string // of a literal one, in canonical form
}

// SegmentKind tells stars from names.
type SegmentKind uint8

// The kinds of segments.
const (
	Literal SegmentKind = iota
	AnyOne              // *
	AnyMany             // **
)

// ParsePattern checks a glob. A star that is a letter is written %2A; other
// characters may be written in any of their spellings.
func ParsePattern(s string) (Pattern, error) {
	switch {
	case s == "":
		return Pattern{}, fmt.Errorf("the pattern is empty; use a glob such as events/*, or ** for every stream")
	case len(s) > patternBytesMax:
		return Pattern{}, fmt.Errorf("the pattern is longer than %d bytes; use a shorter one", patternBytesMax)
	}
	parts := strings.Split(s, "/")
	if len(parts) > patternSegmentsMax {
		return Pattern{}, fmt.Errorf("the pattern has more than %d segments; use ** for a run of them", patternSegmentsMax)
	}
	p := Pattern{segments: make([]Segment, 0, len(parts))}
	for i, part := range parts {
		g, err := parseSegment(part)
		if err != nil {
			return Pattern{}, err
		}
		if g.Kind == AnyMany && i > 0 && p.segments[len(p.segments)-1].Kind == AnyMany {
			continue // the same as one of them
		}
		p.segments = append(p.segments, g)
	}
	p.text = p.join()
	return p, nil
}

func parseSegment(s string) (Segment, error) {
	switch {
	case s == "*":
		return Segment{Kind: AnyOne}, nil
	case s == "**":
		return Segment{Kind: AnyMany}, nil
	case strings.Contains(s, "*"):
		return Segment{}, fmt.Errorf("the pattern segment %.80q mixes * with other characters; * and ** stand for whole segments, and a star itself is written %%2A", s)
	case s == "":
		return Segment{}, nil
	}
	name, err := ParseName(s)
	if err != nil {
		return Segment{}, fmt.Errorf("the pattern segment %.80q cannot be part of a name: %w", s, err)
	}
	return Segment{Text: string(name)}, nil
}

// PatternOf is the pattern that one name alone matches.
func PatternOf(n Name) Pattern {
	var p Pattern
	for part := range strings.SplitSeq(string(n), "/") {
		p.segments = append(p.segments, Segment{Text: part})
	}
	p.text = p.join()
	return p
}

// join writes the pattern in its one form.
func (p Pattern) join() string {
	var b strings.Builder
	for i, g := range p.segments {
		if i > 0 {
			b.WriteByte('/')
		}
		switch g.Kind {
		case AnyOne:
			b.WriteByte('*')
		case AnyMany:
			b.WriteString("**")
		default:
			b.WriteString(strings.ReplaceAll(g.Text, "*", "%2A"))
		}
	}
	return b.String()
}

// String is the pattern's one form, which ParsePattern takes again.
func (p Pattern) String() string { return p.text }

// Segments are the pattern's parts. The caller must not change them.
func (p Pattern) Segments() []Segment { return p.segments }

// Prefix is what every name that matches begins with: the literal segments
// before the first star, for a bounded listing.
func (p Pattern) Prefix() string {
	var b strings.Builder
	for i, g := range p.segments {
		if g.Kind != Literal {
			break
		}
		b.WriteString(g.Text)
		// "a/**" matches "a" too, which has no slash.
		if i+1 < len(p.segments) && p.segments[i+1].Kind != AnyMany {
			b.WriteByte('/')
		}
	}
	return b.String()
}

// Match reports whether the whole of a name fits. It walks both sides once, and
// back only to the last **: a later one makes the earlier ones irrelevant.
func (p Pattern) Match(name Name) bool {
	pattern, parts := p.segments, strings.Split(string(name), "/")
	if len(pattern) == 0 {
		return false
	}
	at, n := 0, 0
	back, from := -1, 0
	for n < len(parts) {
		switch {
		case at < len(pattern) && pattern[at].Kind == AnyMany:
			back, from = at, n
			at++
		case at < len(pattern) && (pattern[at].Kind == AnyOne || pattern[at].Text == parts[n]):
			at++
			n++
		case back >= 0:
			from++
			at, n = back+1, from
		default:
			return false
		}
	}
	for at < len(pattern) && pattern[at].Kind == AnyMany {
		at++
	}
	return at == len(pattern)
}

// Covers reports that every name which q matches fits p too. It may say no
// though it is so, when the names that ** may stand for would have to be counted
// up (`*/**` is not known to be covered by `**/*`); it never says yes though it is
// not so.
func (p Pattern) Covers(q Pattern) bool {
	// row[j] reports that the first i segments of p cover the first j of q.
	row := make([]bool, len(q.segments)+1)
	row[0] = true
	for _, s := range p.segments {
		next := make([]bool, len(row))
		next[0] = s.Kind == AnyMany && row[0]
		for j, o := range q.segments {
			switch s.Kind {
			case AnyMany:
				next[j+1] = row[j+1] || next[j] // it takes none, or one more
			case AnyOne:
				next[j+1] = row[j] && o.Kind != AnyMany
			default:
				next[j+1] = row[j] && o.Kind == Literal && s.Text == o.Text
			}
		}
		row = next
	}
	return len(p.segments) > 0 && len(q.segments) > 0 && row[len(q.segments)]
}
