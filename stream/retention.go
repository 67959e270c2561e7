package stream

import "strconv"

// Retention says how much of a stream is kept at least: of its newest data so
// many bytes, or what is younger than so many seconds. What is beyond one of the
// bounds goes, between two appends. The zero value keeps everything.
type Retention struct {
	Bytes uint64 // 0 for no bound
	Age   uint64 // in seconds; 0 for no bound
}

// ParseRetention parses Stream-Retention-Bytes and Stream-Retention-Age; nil
// means absent.
func ParseRetention(bytes, age *string) (r Retention, err error) {
	if bytes != nil {
		n, ok := parseCount(*bytes)
		if !ok || n == 0 {
			return r, malformed("Stream-Retention-Bytes", "is not a whole number of bytes from 1 to 9007199254740991", "leave the header out to keep everything")
		}
		r.Bytes = n
	}
	if age != nil {
		n, ok := parseCount(*age)
		if !ok || n == 0 || n > TTLSecondsMax {
			return r, malformed("Stream-Retention-Age", "is not a whole number of seconds from 1 to 9007199254", "leave the header out to keep everything")
		}
		r.Age = n
	}
	return r, nil
}

// IsNone reports that everything is kept.
func (r Retention) IsNone() bool { return r == Retention{} }

// BytesText renders Stream-Retention-Bytes, "" for no bound.
func (r Retention) BytesText() string { return countText(r.Bytes) }

// AgeText renders Stream-Retention-Age, "" for no bound.
func (r Retention) AgeText() string { return countText(r.Age) }

func countText(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// span is Age as machine time counts.
func (r Retention) span() Time { return Time(r.Age) * 1000 }

// Range is a run of positions: from From up to To.
type Range struct{ From, To uint64 }

// Held is an append as it lies among positions.
type Held struct {
	Start, End uint64
	At         Time
}

// Kept is how many bytes of the stream can be read.
func (s *State) Kept() uint64 { return s.Pos - s.Horizon }

// trimmed is the refusal of an offset before the horizon.
func (s *State) trimmed() *Rejection {
	return &Rejection{Code: Trimmed, Next: s.OffsetAt(s.Horizon)}
}

// CheckKept refuses a position whose data is not kept any more.
func (s *State) CheckKept(pos uint64) *Rejection {
	if pos < s.Horizon {
		return s.trimmed()
	}
	return nil
}

// noteGrowth sets when the retention of a stream that has just been written to
// is to be looked at next. It may come too early; never too late.
func (s *State) noteGrowth(now Time) {
	switch r := s.Retention; {
	case r.Bytes > 0 && s.Kept() > r.Bytes:
		s.TrimAt = max(now, 1)
	case r.Age > 0 && s.TrimAt == 0:
		s.TrimAt = max(now+r.span(), 1)
	}
}

// pin keeps what a fork at pos inherits of this stream's own data. What is freed
// already no fork can reach.
func (s *State) pin(pos uint64) {
	if low := max(s.Freed, s.Base); pos > low {
		if s.Pinned.To == 0 {
			s.Pinned.From = low
		}
		s.Pinned.To = max(s.Pinned.To, pos)
	}
}

// unpin is for when no fork is left: what was kept for them alone is looked at anew.
func (s *State) unpin(now Time) {
	if s.Pinned.To == 0 {
		return
	}
	s.Freed = min(s.Freed, s.Pinned.From)
	s.Pinned = Range{}
	if s.Horizon > s.Freed {
		s.TrimAt = max(now, 1)
	}
}
