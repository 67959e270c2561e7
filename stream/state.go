package stream

import "slices"

// State is all that the rules need to know of one stream. Slices and pointers
// in it are never written after they are set, so that a copy is independent.
type State struct {
	Incarnation uint64
	ContentType ContentType
	Lifetime    Lifetime
	CreatedAt   Time
	Deadline    Time   // machine time at which it expires; 0 for never
	Indexed     Time   // its entry in the expiry index, never after Deadline; 0 for none
	Base        uint64 // where its own data begins: 0, or a fork's divergence
	Pos         uint64 // where its data ends
	Seq         string // last Stream-Seq accepted
	Closed      bool
	ClosedBy    *Producer // the claim that closed it, if one did
	Spans       []Span    // inherited data of a fork, in order, up to Base
	Origin      *Origin   // of a fork
	Refs        uint64    // living forks that name this stream as their source
	Deleted     bool      // soft-deleted: data is kept for forks (§4.2)

	Retention Retention
	Horizon   uint64 // what lies before it cannot be read any more
	Freed     uint64 // own data before it is gone, but for what is pinned; counts above Base
	Pinned    Range  // own data that living forks may inherit
	TrimAt    Time   // when retention is to be looked at; 0 for never
}

// Span is a run of inherited data: positions above From up to To are found
// under another incarnation.
type Span struct{ Incarnation, From, To uint64 }

// Origin is what a fork was made from, as requested, for idempotent
// re-creation (§4.2).
type Origin struct {
	Source            Name
	SourceIncarnation uint64
	Offset            Offset // resolved
	SubOffset         uint64 // as sent
	InheritsLifetime  bool
}

// SameButTail reports that two states differ in nothing but where the data ends,
// which the records of the stream tell as well.
func (s *State) SameButTail(o *State) bool {
	return s.Incarnation == o.Incarnation && s.Base == o.Base && s.Horizon == o.Horizon && s.Freed == o.Freed && s.Pinned == o.Pinned &&
		s.Deadline == o.Deadline && s.Indexed == o.Indexed && s.TrimAt == o.TrimAt && s.CreatedAt == o.CreatedAt &&
		s.Closed == o.Closed && s.Deleted == o.Deleted && s.Refs == o.Refs && s.Seq == o.Seq &&
		s.ContentType == o.ContentType && s.Lifetime == o.Lifetime && s.Retention == o.Retention &&
		samePointed(s.ClosedBy, o.ClosedBy) && samePointed(s.Origin, o.Origin) && slices.Equal(s.Spans, o.Spans)
}

// samePointed compares what is pointed to: a state that was read from the copy has
// pointers of its own.
func samePointed[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// OffsetAt returns the one offset that is minted for pos: below a fork's
// divergence it is the source's.
func (s *State) OffsetAt(pos uint64) Offset {
	for i, span := range s.Spans {
		if pos <= span.To && (pos > span.From || i == 0) {
			return Offset{span.Incarnation, pos}
		}
	}
	return Offset{s.Incarnation, pos}
}

// Tail is the offset after the last byte.
func (s *State) Tail() Offset { return s.OffsetAt(s.Pos) }

// Start is the offset before the first byte that is kept.
func (s *State) Start() Offset { return s.OffsetAt(s.Horizon) }

// endsAt reports that o is the tail; the zero offset is that of a stream into
// which nothing was ever written.
func (s *State) endsAt(o Offset) bool {
	if o.IsZero() {
		return s.Pos == 0
	}
	return o == s.Tail()
}

// Location says how an offset relates to a stream as one replica knows it.
type Location uint8

const (
	Here    Location = iota // at a position of this stream; not yet known to be an append's end
	Beyond                  // past the tail: unknown, or not here yet
	Newer                   // of an incarnation this replica has not seen: not here yet
	Earlier                 // of an earlier life of the path, or of no stream in the fork's chain
	Never                   // of this stream's incarnations, at a position that they never minted
)

// Locate finds the position that o names. The position counts only for Here.
func (s *State) Locate(o Offset) (pos uint64, at Location) {
	if o.IsZero() {
		return 0, Here
	}
	if o.Incarnation > s.Incarnation {
		return 0, Newer
	}
	if o.Incarnation == s.Incarnation {
		switch {
		case o.Pos > s.Pos:
			return 0, Beyond
		case o.Pos > s.Base || o.Pos == 0 && len(s.Spans) == 0:
			return o.Pos, Here
		}
		return 0, Never
	}
	at = Earlier
	for i, span := range s.Spans {
		if span.Incarnation != o.Incarnation {
			continue
		}
		if o.Pos <= span.To && (o.Pos > span.From || i == 0) {
			return o.Pos, Here
		}
		at = Never
	}
	return 0, at
}

// Owner returns the incarnation under which the data that follows pos is
// stored, and the position where that run ends.
func (s *State) Owner(pos uint64) (incarnation, end uint64) {
	for _, span := range s.Spans {
		if pos < span.To {
			return span.Incarnation, span.To
		}
	}
	return s.Incarnation, s.Pos
}

// spansTo returns what a fork at pos inherits. It is never empty, so that the
// fork keeps its source's start.
func (s *State) spansTo(pos uint64) []Span {
	var spans []Span
	for _, span := range s.Spans {
		if span.From < pos || len(spans) == 0 {
			span.To = min(span.To, pos)
			spans = append(spans, span)
		}
	}
	if pos > s.Base || len(spans) == 0 {
		spans = append(spans, Span{s.Incarnation, s.Base, pos})
	}
	return spans
}

// Info is the part of s that readers see.
func (s *State) Info() Info {
	return Info{
		Incarnation: s.Incarnation,
		ContentType: s.ContentType,
		Lifetime:    s.Lifetime,
		Deadline:    s.Deadline,
		Start:       s.Start(),
		Tail:        s.Tail(),
		Closed:      s.Closed,
		Deleted:     s.Deleted,
		Retention:   s.Retention,
		Trimmed:     s.Horizon > 0,
	}
}

// Live reports that the stream takes requests at now.
func (s *State) Live(now Time) bool { return !s.Deleted && !s.expired(now) }

// HasAfter reports that the stream holds data that comes after o, an offset of
// this stream or of an earlier life of its path; the zero offset is before all.
func (s *State) HasAfter(o Offset) bool {
	if s.Deleted {
		return false
	}
	pos, at := s.Locate(o)
	if at != Here {
		pos = 0
	}
	return s.Pos > pos
}

func (s *State) expired(now Time) bool {
	return s.Deadline != 0 && now >= s.Deadline && !s.Deleted
}

// renew moves a sliding deadline for a use at now. The index entry may stay
// behind: whoever finds it asks again.
func (s *State) renew(now Time) {
	s.Deadline = s.Lifetime.deadline(now)
	if s.Deadline != 0 && (s.Indexed == 0 || s.Deadline < s.Indexed) {
		s.Indexed = s.Deadline
	}
}
