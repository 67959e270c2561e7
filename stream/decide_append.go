package stream

// append applies §5.2, §5.2.1 and §5.3. Precedence: closed, content type,
// producer, If-Match, Stream-Seq, limits. A repeat by a producer is answered as one
// whatever the tail is by now: it was accepted when the tail was the one it names.
func (d *decision) append(c Append) (Outcome, *Rejection) {
	s, no := d.usable(c.Name)
	if no != nil {
		return Outcome{}, no
	}
	if s.Closed {
		return d.appendToClosed(c, s)
	}
	if !c.Body.Empty() && !c.ContentType.Same(s.ContentType) {
		return Outcome{}, &Rejection{Code: ContentTypeMismatch}
	}
	if c.Producer != nil {
		last, known := d.view.Producer(s.Incarnation, c.Producer.ID)
		duplicate, no := c.Producer.judge(last, known)
		if no != nil {
			return Outcome{}, no
		}
		if duplicate {
			d.use(c.Name, s)
			return Outcome{Next: s.Tail(), Duplicate: true, Producer: &last}, nil
		}
	}
	if c.IfMatch != nil && !s.endsAt(*c.IfMatch) {
		return Outcome{}, &Rejection{Code: TailMoved, Next: s.Tail()}
	}
	if c.Seq != "" && c.Seq <= s.Seq {
		return Outcome{}, &Rejection{Code: SeqConflict}
	}
	if s.Pos+uint64(len(c.Body.Data)) > offsetMax {
		return Outcome{}, &Rejection{Code: StreamTooLong}
	}
	if no := d.fits(s, uint64(len(c.Body.Data))); no != nil {
		return Outcome{}, no
	}
	return d.accept(c, *s), nil
}

// accept writes an append that every rule allows.
func (d *decision) accept(c Append, s State) Outcome {
	if !c.Body.Empty() {
		d.write(&s, StoredAppend{Data: c.Body.Data, Messages: c.Body.Messages, At: d.now})
	}
	if c.Seq != "" {
		s.Seq = c.Seq
	}
	if c.Close {
		s.Closed, s.ClosedBy = true, c.Producer
	}
	s.renew(d.now)
	d.put(c.Name, s)
	out := Outcome{Next: s.Tail(), Closed: s.Closed}
	if p := c.Producer; p != nil {
		now := ProducerState{Epoch: p.Epoch, LastSeq: p.Seq}
		d.change.Producers = append(d.change.Producers, ProducerChange{s.Incarnation, p.ID, now})
		out.Producer = &now
	}
	return out
}

// appendToClosed answers the two requests that closure does not refuse: to
// close again, and to repeat the very request that closed.
func (d *decision) appendToClosed(c Append, s *State) (Outcome, *Rejection) {
	out := Outcome{Next: s.Tail(), Closed: true, Duplicate: true}
	if c.Producer != nil && s.ClosedBy != nil && *c.Producer == *s.ClosedBy {
		out.Producer = &ProducerState{Epoch: c.Producer.Epoch, LastSeq: c.Producer.Seq}
		d.use(c.Name, s)
		return out, nil
	}
	if c.Producer == nil && c.Close && c.Body.Empty() {
		d.use(c.Name, s)
		return out, nil
	}
	return Outcome{}, &Rejection{Code: Closed, Next: s.Tail()}
}

// use renews a sliding lifetime for a request that changes nothing else.
func (d *decision) use(name Name, s *State) {
	next := *s
	next.renew(d.now)
	if next.Deadline != s.Deadline {
		d.put(name, next)
	}
}

// write adds an append at the end of s.
func (d *decision) write(s *State, a StoredAppend) {
	d.change.Writes = append(d.change.Writes, Write{s.Incarnation, s.Pos, a})
	s.Pos += uint64(len(a.Data))
	s.noteGrowth(d.now)
}
