package stream

import "fmt"

// trim moves the horizon, to where it is asked to be or as far as retention lets
// it, and frees what nobody can read any more. Its work does not grow with what
// it frees: the horizon is looked for by halving, and what lies before it goes
// as one range.
func (d *decision) trim(c Trim) (Outcome, *Rejection) {
	s, no := d.usable(c.Name)
	if no != nil {
		return Outcome{}, no
	}
	next := *s
	if c.To != nil {
		pos, no := d.trimPosition(s, *c.To)
		if no != nil {
			return Outcome{}, no
		}
		next.Horizon = max(next.Horizon, pos)
	}
	d.retain(&next)
	d.free(&next)
	if next.Horizon != s.Horizon || next.Freed != s.Freed || next.TrimAt != s.TrimAt {
		d.put(c.Name, next)
	}
	return Outcome{Next: next.Tail(), Closed: next.Closed, Horizon: next.OffsetAt(next.Horizon)}, nil
}

// trimPosition is where an offset is that a horizon may be moved to.
func (d *decision) trimPosition(s *State, to Offset) (uint64, *Rejection) {
	pos, at := s.Locate(to)
	switch at {
	case Here:
	case Earlier:
		return 0, &Rejection{Code: Gone, Detail: "the offset belongs to an earlier stream at this path, which was deleted"}
	case Beyond, Newer:
		return 0, &Rejection{Code: BadOffset, Detail: "the offset lies beyond the tail of the stream; HEAD shows where it ends"}
	default:
		return 0, &Rejection{Code: BadOffset}
	}
	if pos > s.Horizon && pos < s.Pos && !d.view.Ends(s.OffsetAt(pos).Incarnation, pos) {
		return 0, &Rejection{Code: BadOffset}
	}
	return pos, nil
}

// retain moves the horizon as far as the stream's retention lets it, and sets
// when to look again.
func (d *decision) retain(s *State) {
	r := s.Retention
	if r.Bytes > 0 && s.Kept() > r.Bytes {
		s.Horizon = max(s.Horizon, d.held(s, s.Pos-r.Bytes).Start)
	}
	s.TrimAt = 0
	if r.Age == 0 {
		return
	}
	s.Horizon = d.after(s, d.now-r.span())
	if s.Horizon < s.Pos {
		s.TrimAt = max(d.held(s, s.Horizon).At+r.span(), 1)
	}
}

// after is the position behind the last kept append that was written at a time
// or before it. Times never go back along a stream, so it is found by halving.
func (d *decision) after(s *State, at Time) uint64 {
	low, high := s.Horizon, s.Pos
	if low < high { // most often the first one is young enough
		first := d.held(s, low)
		if first.At > at {
			return low
		}
		low = first.End
	}
	for low < high {
		middle := d.held(s, low+(high-low)/2)
		if middle.At <= at {
			low = middle.End
		} else {
			high = middle.Start
		}
	}
	return low
}

// held is the append that holds the byte after pos.
func (d *decision) held(s *State, pos uint64) Held {
	owner, _ := s.Owner(pos)
	h, ok := d.view.Holding(owner, pos)
	if !ok {
		panic(fmt.Sprintf("stream: no append of incarnation %d at %d, which is kept", owner, pos))
	}
	return h
}

// free lets go of this stream's own data before the horizon, but for what forks
// inherit. What it inherits itself is its source's to free.
func (d *decision) free(s *State) {
	from := max(s.Freed, s.Base, s.Pinned.To)
	if s.Horizon <= from {
		return
	}
	to := d.view.WholeBefore(s.Incarnation, s.Horizon)
	if to <= from {
		return
	}
	d.change.Freed = append(d.change.Freed, FreedRange{s.Incarnation, Range{from, to}})
	s.Freed = to
}
