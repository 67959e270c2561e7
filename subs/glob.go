package subs

import (
	"strings"

	"mainstem/stream"
)

const (
	patternBytesMax    = 1024
	patternSegmentsMax = 64
)

// Pattern is a glob over stream names: * stands for one segment, ** for any
// number of them, none included, and all else for itself.
type Pattern struct {
	text     string
	segments []segment
}

type segment struct {
	kind segmentKind
	text string // of a literal one, in canonical form
}

type segmentKind uint8

const (
	literal segmentKind = iota
	one                 // *
	many                // **
)

// ParsePattern checks a glob. A literal star is written %2A.
func ParsePattern(s string) (Pattern, *Refusal) {
	s = strings.TrimLeft(s, "/")
	switch {
	case s == "":
		return Pattern{}, invalid("the pattern is empty; leave it out, or use a glob such as events/*")
	case len(s) > patternBytesMax:
		return Pattern{}, invalid("the pattern is longer than 1024 bytes; use a shorter one")
	}
	parts := strings.Split(s, "/")
	if len(parts) > patternSegmentsMax {
		return Pattern{}, invalid("the pattern has more than 64 segments; use ** for a run of them")
	}
	p := Pattern{segments: make([]segment, 0, len(parts))}
	for i, part := range parts {
		g, no := parseSegment(part)
		if no != nil {
			return Pattern{}, no
		}
		if i == 0 && g.text == reserved {
			return Pattern{}, invalid("the pattern begins with __ds, which is reserved; no stream can be there")
		}
		if g.kind == many && i > 0 && p.segments[len(p.segments)-1].kind == many {
			continue // the same as one of them
		}
		p.segments = append(p.segments, g)
	}
	p.text = p.join()
	return p, nil
}

func parseSegment(s string) (segment, *Refusal) {
	switch {
	case s == "*":
		return segment{kind: one}, nil
	case s == "**":
		return segment{kind: many}, nil
	case strings.Contains(s, "*"):
		return segment{}, invalid("the pattern segment " + quote(s) + " mixes * with other characters; * and ** stand for whole segments, and a star itself is written %2A")
	case s == "":
		return segment{}, nil
	}
	name, err := stream.ParseName(s)
	if err != nil {
		return segment{}, invalid("the pattern segment " + quote(s) + " cannot be part of a name: " + err.Error())
	}
	return segment{text: string(name)}, nil
}

// join writes the pattern in its one form.
func (p Pattern) join() string {
	var b strings.Builder
	for i, g := range p.segments {
		if i > 0 {
			b.WriteByte('/')
		}
		switch g.kind {
		case one:
			b.WriteByte('*')
		case many:
			b.WriteString("**")
		default:
			b.WriteString(strings.ReplaceAll(g.text, "*", "%2A"))
		}
	}
	return b.String()
}

// String is the pattern's one form, which ParsePattern takes again.
func (p Pattern) String() string { return p.text }

// Prefix is what every name that matches begins with: the literal segments
// before the first star, for a bounded listing.
func (p Pattern) Prefix() string {
	var b strings.Builder
	for i, g := range p.segments {
		if g.kind != literal {
			break
		}
		b.WriteString(g.text)
		// "a/**" matches "a" too, which has no slash.
		if i+1 < len(p.segments) && p.segments[i+1].kind != many {
			b.WriteByte('/')
		}
	}
	return b.String()
}

// Match reports whether the whole of a name fits.
func (p Pattern) Match(name stream.Name) bool {
	return len(p.segments) > 0 && match(p.segments, strings.Split(string(name), "/"))
}

// match walks both sides once, and back only to the last **: a later one makes
// the earlier ones irrelevant.
func match(pattern []segment, parts []string) bool {
	p, n := 0, 0
	back, from := -1, 0
	for n < len(parts) {
		switch {
		case p < len(pattern) && pattern[p].kind == many:
			back, from = p, n
			p++
		case p < len(pattern) && (pattern[p].kind == one || pattern[p].text == parts[n]):
			p++
			n++
		case back >= 0:
			from++
			p, n = back+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p].kind == many {
		p++
	}
	return p == len(pattern)
}
