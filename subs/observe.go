package subs

import "mainstem/stream"

// Seen is what a command did to one stream.
type Seen struct {
	Name          stream.Name
	Before, After *stream.State // nil for none
	// Appended says that the command appended data, beginning at At: what a fork
	// inherits is not, and what a creation holds is.
	Appended bool
	At       uint64
}

// Matters reports a change that subscriptions can notice.
func (s *Seen) Matters() bool {
	return s.Appended || s.Before == nil || s.After == nil || s.Before.Pos != s.After.Pos ||
		s.Before.Incarnation != s.After.Incarnation || s.Before.Deleted != s.After.Deleted
}

// Ended reports that what was at the path is gone, whether or not there is
// another stream now.
func (s *Seen) Ended() bool {
	return s.After == nil || s.After.Deleted || s.Before != nil && s.Before.Incarnation != s.After.Incarnation
}

// Observe fills c, which must be empty, with what a change of a stream does to
// subscriptions. Links by glob end with the stream; explicit ones stay, and what
// comes at the path later is all new to them. A stream that is appended to and
// matches a pattern is linked before that append (§6.2).
//
// The View must show the stream as it is after the change.
func Observe(v View, now stream.Time, seen Seen, c *Change) {
	d := decision{view: v, now: now, change: c}
	ended := seen.Ended()
	if ended && v.WakeStream(seen.Name) {
		d.loseEvents(seen.Name)
	}
	unlinked := false
	for _, l := range v.LinksOf(seen.Name) {
		was, is := l.Link.pending(seen.Before), l.Link.pending(seen.After)
		goes := ended && !l.Link.Explicit
		if was == is && !goes {
			continue
		}
		s := d.edit(l.Number)
		if s == nil {
			continue
		}
		d.count(s, seen.Name, was, is && !goes)
		if goes {
			c.Links = append(c.Links, LinkChange{Number: l.Number, Name: seen.Name, Gone: true})
			unlinked = true
		}
	}
	if !seen.Appended || seen.After == nil || seen.After.Deleted {
		return
	}
	numbers := v.Unlinked(seen.Name, unlinked)
	if len(numbers) == 0 || v.WakeStream(seen.Name) {
		return
	}
	before := Link{Acked: seen.After.OffsetAt(seen.At)}
	for _, number := range numbers {
		if _, had := d.link(number, seen.Name); had {
			continue
		}
		if s := d.edit(number); s != nil {
			d.count(s, seen.Name, false, before.pending(seen.After))
			c.Links = append(c.Links, LinkChange{Number: number, Name: seen.Name, Link: before})
		}
	}
}

// loseEvents ends wakes whose event went with its stream before anybody claimed
// them: pending work begins another, when there is a stream to announce it in.
func (d *decision) loseEvents(wakeStream stream.Name) {
	for _, number := range d.view.WokenBy(wakeStream) {
		if s := d.view.Subscription(number); s != nil && s.Phase == Announced {
			d.edit(number).end()
		}
	}
}
