package stream

// Limits bound what is stored. They come with each entry of the log, as its time
// does, so that all replicas decide by the same ones whatever they are configured
// with; 0 is no limit.
type Limits struct {
	StreamBytes uint64 // of one stream
	TotalBytes  uint64 // of all streams together
}

// Stored is how many bytes a stream holds itself: of a fork without what it
// inherits, which its source holds, and without what retention has let go. Where
// forks keep old data alive it counts by positions: records between them may be gone
// already, or still there.
func (s *State) Stored() uint64 {
	if s == nil {
		return 0
	}
	low := max(s.Freed, s.Base)
	return s.Pos - low + min(s.Pinned.To, low) - min(s.Pinned.From, low)
}

// fits judges whether s may have n more bytes. To bring none is always allowed.
func (d *decision) fits(s *State, n uint64) *Rejection {
	limits := d.view.Limits()
	switch {
	case n == 0:
		return nil
	case limits.StreamBytes > 0 && s.Stored()+n > limits.StreamBytes:
		return &Rejection{Code: StreamFull}
	case limits.TotalBytes > 0 && d.stored()+n > limits.TotalBytes:
		return &Rejection{Code: StoreFull}
	}
	return nil
}

// stored is what all streams hold, as this decision has left them so far.
func (d *decision) stored() uint64 {
	total := d.view.Stored()
	for i := range d.change.Streams {
		c := &d.change.Streams[i]
		total -= d.view.Stream(c.Name).Stored()
		if !c.Gone {
			total += c.State.Stored()
		}
	}
	return total
}
