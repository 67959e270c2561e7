package subs

import (
	"strings"

	"mainstem/stream"
)

// Pattern is a glob over stream names.
type Pattern = stream.Pattern

// ParsePattern checks the glob of a subscription, with or without a slash before
// it.
func ParsePattern(s string) (Pattern, *Refusal) {
	p, err := stream.ParsePattern(strings.TrimLeft(s, "/"))
	if err != nil {
		return Pattern{}, invalid(err.Error())
	}
	if first := p.Segments()[0]; first.Kind == stream.Literal && first.Text == reserved {
		return Pattern{}, invalid("the pattern begins with __ds, which is reserved; no stream can be there")
	}
	return p, nil
}
