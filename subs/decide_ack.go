package subs

import "mainstem/stream"

// ack applies §7.1 and §7.2: all cursors move, or none does.
func (d *decision) ack(c Ack) (Outcome, *Refusal) {
	s, no := d.current(c.Number, c.Generation, c.WakeID)
	if no != nil {
		return Outcome{}, no
	}
	if !c.Delivery {
		if no := d.holds(s, c.Via, c.Token); no != nil {
			return Outcome{}, no
		}
	}
	// Judged before anything moves: a cursor that comes twice is judged against
	// the one before it.
	moves, no := d.judge(s, c.Acks, c.Delivery)
	if no != nil {
		return Outcome{}, no
	}
	for _, m := range moves {
		d.setLink(s, m.name, m.link)
	}
	out := Outcome{Number: s.Number, Generation: s.Generation}
	if s.Config.Kind == Webhook {
		s.succeed()
		s.Phase = Taken
	}
	if !c.Done {
		s.lease(d.now)
		return out, nil
	}
	s.end()
	out.Pending = s.Pending > 0
	return out, nil
}

// holds checks the endpoint and the token, whose signature was checked before.
func (d *decision) holds(s *Subscription, via Kind, token uint64) *Refusal {
	switch {
	case via != s.Config.Kind:
		return invalid("the subscription is of type " + s.Config.Kind.String() + "; webhooks use callback, pull-wake workers use ack and release")
	case token != s.Generation:
		return &Refusal{Code: Fenced, Generation: s.Generation}
	}
	return nil
}

// move is a cursor that has been judged.
type move struct {
	name stream.Name
	link Link
}

// judge checks cursors, or passes over those that no longer fit.
func (d *decision) judge(s *Subscription, acks []Cursor, lenient bool) ([]move, *Refusal) {
	moves := make([]move, 0, len(acks))
	latest := make(map[stream.Name]Link, len(acks))
	for _, c := range acks {
		l, linked := latest[c.Stream]
		if !linked {
			l, linked = d.link(s.Number, c.Stream)
		}
		why := "the subscription is not linked to it"
		if linked {
			why = d.misfit(l, c)
		}
		switch {
		case why == "":
			l.Acked = c.Offset
			latest[c.Stream] = l
			moves = append(moves, move{c.Stream, l})
		case !lenient:
			return nil, &Refusal{Code: InvalidOffset,
				Detail: "the ack of stream " + quote(string(c.Stream)) + " was refused, and no cursor was moved: " + why}
		}
	}
	return moves, nil
}

// misfit says why a cursor cannot move, "" if it can.
func (d *decision) misfit(l Link, c Cursor) string {
	state := d.view.Stream(c.Stream)
	if state == nil || !state.Live(d.now) {
		return "the stream was deleted or has expired"
	}
	if c.Offset == l.Acked {
		return ""
	}
	pos, at := state.Locate(c.Offset)
	switch at {
	case stream.Here:
	case stream.Beyond, stream.Newer:
		return "the offset lies beyond the tail of the stream"
	default:
		return "the offset is not one that this stream returned"
	}
	before, known := state.Locate(l.Acked)
	switch {
	case known == stream.Here && pos < before:
		return "the offset lies before the cursor, which never moves back"
	case pos > state.Horizon && pos != state.Pos && !d.view.Ends(state.OffsetAt(pos).Incarnation, pos):
		return "the offset is not one that this stream returned"
	}
	return ""
}

// release applies §7.2.
func (d *decision) release(c Release) (Outcome, *Refusal) {
	s, no := d.current(c.Number, c.Generation, c.WakeID)
	if no != nil {
		return Outcome{}, no
	}
	if no := d.holds(s, PullWake, c.Token); no != nil {
		return Outcome{}, no
	}
	s.end()
	return Outcome{Number: s.Number, Generation: s.Generation, Pending: s.Pending > 0}, nil
}
