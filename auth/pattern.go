package auth

import (
	"errors"
	"fmt"
	"strings"

	"mainstem/stream"
)

// patternBytesMax bounds a pattern as a stream's name is bounded.
const patternBytesMax = stream.NameBytesMax

// Pattern matches stream names segment by segment: `*` is any one segment, `**`
// any number of them, also none, and everything else is itself.
type Pattern struct{ segments []string }

// ParsePattern reads a pattern. What is not a star is a stream's name, in any of
// its spellings.
func ParsePattern(text string) (Pattern, error) {
	if text == "" {
		return Pattern{}, errors.New(`the pattern is empty; "**" matches every stream`)
	}
	if len(text) > patternBytesMax {
		return Pattern{}, fmt.Errorf("the pattern is longer than %d bytes", patternBytesMax)
	}
	p := Pattern{segments: strings.Split(text, "/")}
	for i, segment := range p.segments {
		switch {
		case segment == "*" || segment == "**" || segment == "":
			continue
		case strings.Contains(segment, "*"):
			return Pattern{}, fmt.Errorf("%q mixes a star with other letters; a star stands for whole segments", segment)
		}
		name, err := stream.ParseName(segment)
		if err != nil {
			return Pattern{}, fmt.Errorf("%q: %w", segment, err)
		}
		p.segments[i] = string(name)
	}
	return p, nil
}

// exactly is the pattern of one stream.
func exactly(n stream.Name) Pattern { return Pattern{segments: strings.Split(string(n), "/")} }

func (p Pattern) String() string { return strings.Join(p.segments, "/") }

// Matches tells whether a stream is among those of the pattern.
func (p Pattern) Matches(n stream.Name) bool {
	return p.Covers(exactly(n), false)
}

// Covers tells whether all streams of q are among those of p. With stars the
// segments of q are a pattern too; without they are a name, whose stars are
// letters.
func (p Pattern) Covers(q Pattern, stars bool) bool {
	// row[j] tells whether the first i segments of p cover the first j of q.
	row := make([]bool, len(q.segments)+1)
	row[0] = true
	for _, s := range p.segments {
		next := make([]bool, len(row))
		next[0] = s == "**" && row[0]
		for j, o := range q.segments {
			many := stars && o == "**"
			switch {
			case s == "**":
				next[j+1] = row[j+1] || next[j] // it takes none, or one more
			case s == "*":
				next[j+1] = row[j] && !many
			default:
				next[j+1] = row[j] && s == o && !many && !(stars && o == "*")
			}
		}
		row = next
	}
	return row[len(q.segments)]
}
