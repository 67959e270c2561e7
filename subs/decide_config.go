package subs

import "mainstem/stream"

// stepStreams is how many streams one Step, or one look, goes through.
const stepStreams = 256

// create applies §6.2. Existing streams that the pattern matches are linked by
// Steps; a stream that is appended to before its turn is linked by that append,
// at the tail it had, so that nobody can tell the difference.
func (d *decision) create(c Create) (Outcome, *Refusal) {
	hash := c.Config.Hash()
	if s := d.view.Lookup(c.ID); s != nil {
		if s.Hash != hash {
			return Outcome{}, &Refusal{Code: SubscriptionAlreadyExists}
		}
		return Outcome{Number: s.Number, More: s.Linking}, nil
	}
	if d.view.Subscriptions() >= SubscriptionsMax {
		return Outcome{}, invalid("there are 100000 subscriptions already; delete one that is not needed")
	}
	s := &Subscription{
		ID: c.ID, Number: d.view.Drawn() + 1, Config: c.Config, Hash: hash, Base: c.Base, CreatedAt: d.now,
		Linking: c.Config.Pattern != "",
	}
	s.Config.Streams = nil
	d.change.Drawn = s.Number
	d.change.Subscriptions = append(d.change.Subscriptions, s)
	for _, name := range c.Config.Streams {
		d.setLink(s, name, Link{Explicit: true, Acked: d.tail(name)})
	}
	if s.Config.Kind == PullWake {
		d.reserve(s.Config.WakeStream)
	}
	return Outcome{Number: s.Number, Created: true, More: s.Linking}, nil
}

// reserve takes a stream that becomes a wake stream away from the globs that
// have linked it: events are not the work they announce.
func (d *decision) reserve(name stream.Name) {
	for _, l := range d.view.LinksOf(name) {
		if s := d.edit(l.Number); s != nil && !l.Link.Explicit {
			d.unlink(s, name)
		}
	}
}

// delete leaves a tombstone: the id is free, and what is in flight is fenced,
// while Steps remove the links.
func (d *decision) delete(c Delete) Outcome {
	s, no := d.known(c.ID)
	if no != nil {
		return Outcome{} // §6.3: there is none afterwards either way
	}
	s.end()
	s.Deleted, s.Linking, s.Pending, s.PendingSince, s.Trigger = true, false, 0, 0, ""
	return Outcome{Number: s.Number, More: true}
}

// addStreams applies §6.4.
func (d *decision) addStreams(c AddStreams) (Outcome, *Refusal) {
	s, no := d.known(c.ID)
	if no != nil {
		return Outcome{}, no
	}
	for _, name := range c.Streams {
		if s.Config.Kind == PullWake && name == s.Config.WakeStream {
			return Outcome{}, ownWakeStream()
		}
	}
	for _, name := range c.Streams {
		l, had := d.link(s.Number, name)
		switch {
		case !had:
			d.setLink(s, name, Link{Explicit: true, Acked: d.tail(name)})
		case !l.Explicit:
			l.Explicit = true
			d.setLink(s, name, l)
		}
	}
	return Outcome{Number: s.Number}, nil
}

// removeStream applies §6.4: a glob that matches keeps the link.
func (d *decision) removeStream(c RemoveStream) (Outcome, *Refusal) {
	s, no := d.known(c.ID)
	if no != nil {
		return Outcome{}, no
	}
	l, had := d.link(s.Number, c.Stream)
	if !had || !l.Explicit {
		return Outcome{Number: s.Number}, nil
	}
	p, globs := s.Pattern()
	state := d.view.Stream(c.Stream)
	if globs && p.Match(c.Stream) && !d.view.WakeStream(c.Stream) && state != nil && state.Live(d.now) {
		d.setLink(s, c.Stream, Link{Acked: l.Acked})
	} else {
		d.unlink(s, c.Stream)
	}
	return Outcome{Number: s.Number}, nil
}

// step does a bounded part of what a creation or a deletion has left.
func (d *decision) step(c Step) Outcome {
	s := d.view.Subscription(c.Number)
	switch {
	case s == nil:
		return Outcome{}
	case s.Deleted:
		return d.clean(s)
	case s.Linking:
		return d.linkExisting(d.edit(c.Number))
	}
	return Outcome{Number: c.Number}
}

func (d *decision) clean(s *Subscription) Outcome {
	names := d.view.LinkedAfter(s.Number, "", stepStreams)
	for _, name := range names {
		d.change.Links = append(d.change.Links, LinkChange{Number: s.Number, Name: name, Gone: true})
	}
	if len(names) == stepStreams {
		return Outcome{Number: s.Number, More: true}
	}
	d.change.Gone = append(d.change.Gone, s.Number)
	return Outcome{Number: s.Number}
}

// linkExisting looks at the next streams there are.
func (d *decision) linkExisting(s *Subscription) Outcome {
	p, _ := s.Pattern()
	names := d.view.StreamsAfter(p.Prefix(), s.Linked, stepStreams)
	for _, name := range names {
		s.Linked = name
		if !p.Match(name) || d.view.WakeStream(name) {
			continue
		}
		if _, had := d.link(s.Number, name); had {
			continue
		}
		if state := d.view.Stream(name); state != nil && state.Live(d.now) {
			d.setLink(s, name, Link{Acked: state.Tail()})
		}
	}
	if len(names) < stepStreams {
		s.Linking, s.Linked = false, ""
	}
	return Outcome{Number: s.Number, More: s.Linking}
}
