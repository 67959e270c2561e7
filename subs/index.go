package subs

import (
	"slices"
	"strings"

	"mainstem/stream"
)

// Index finds the patterns that match a name without looking at the others: a
// trie over segments, walked by all of its branches at once.
type Index struct {
	root  place
	count int
}

// place is where a run of segments has led.
type place struct {
	literals map[string]*place
	one      *place
	many     *place // reached without a segment, and left by none
	loops    bool   // takes any segment and stays
	numbers  []uint64
}

// Len is how many patterns there are.
func (x *Index) Len() int { return x.count }

// Add adds the pattern of a subscription.
func (x *Index) Add(p Pattern, number uint64) {
	at := &x.root
	for _, g := range p.Segments() {
		at = at.step(g)
	}
	at.numbers = append(at.numbers, number)
	x.count++
}

func (at *place) step(g stream.Segment) *place {
	switch g.Kind {
	case stream.AnyOne:
		if at.one == nil {
			at.one = &place{}
		}
		return at.one
	case stream.AnyMany:
		if at.many == nil {
			at.many = &place{loops: true}
		}
		return at.many
	}
	next := at.literals[g.Text]
	if next == nil {
		next = &place{}
		if at.literals == nil {
			at.literals = map[string]*place{}
		}
		at.literals[g.Text] = next
	}
	return next
}

// Remove takes a pattern out again.
func (x *Index) Remove(p Pattern, number uint64) {
	if x.root.remove(p.Segments(), number) {
		x.count--
	}
}

func (at *place) remove(segments []stream.Segment, number uint64) (found bool) {
	if len(segments) == 0 {
		i := slices.Index(at.numbers, number)
		if i < 0 {
			return false
		}
		at.numbers = slices.Delete(at.numbers, i, i+1)
		return true
	}
	g := segments[0]
	var next *place
	switch g.Kind {
	case stream.AnyOne:
		next = at.one
	case stream.AnyMany:
		next = at.many
	default:
		next = at.literals[g.Text]
	}
	if next == nil || !next.remove(segments[1:], number) {
		return false
	}
	if next.bare() {
		switch g.Kind {
		case stream.AnyOne:
			at.one = nil
		case stream.AnyMany:
			at.many = nil
		default:
			delete(at.literals, g.Text)
		}
	}
	return true
}

func (at *place) bare() bool {
	return len(at.literals) == 0 && at.one == nil && at.many == nil && len(at.numbers) == 0
}

// Match returns the subscriptions whose pattern matches, in order of their
// numbers.
func (x *Index) Match(name stream.Name) []uint64 {
	if x.count == 0 {
		return nil
	}
	var now, next []*place
	now = reach(now, &x.root)
	for part := range strings.SplitSeq(string(name), "/") {
		next = next[:0]
		for _, at := range now {
			if at.loops {
				next = reach(next, at)
			}
			if p := at.literals[part]; p != nil {
				next = reach(next, p)
			}
			if at.one != nil {
				next = reach(next, at.one)
			}
		}
		now, next = next, now
	}
	var found []uint64
	for _, at := range now {
		found = append(found, at.numbers...)
	}
	slices.Sort(found)
	return found
}

// reach adds a place, and the one that follows it without a segment, once. The
// lists are short: only what has matched so far is in them.
func reach(list []*place, at *place) []*place {
	if slices.Contains(list, at) {
		return list
	}
	list = append(list, at)
	if at.many != nil {
		list = reach(list, at.many)
	}
	return list
}
