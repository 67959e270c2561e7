package subs

import (
	"fmt"
	"reflect"
	"slices"

	"mainstem/stream"
)

// View is what the rules may ask of the replica that decides. It shows the
// effect of every earlier command.
type View interface {
	// Lookup returns the subscription of an id, nil for none; never a deleted one.
	Lookup(ID) *Subscription
	// Subscription returns one by its number, nil for none; a deleted one too.
	Subscription(number uint64) *Subscription
	Subscriptions() int

	Link(number uint64, name stream.Name) (Link, bool)
	// LinksOf returns the links of a stream in order of their numbers, those of
	// subscriptions that are gone or deleted perhaps among them.
	LinksOf(name stream.Name) []StreamLink
	// LinkedAfter returns up to limit streams that a subscription is linked to, in
	// order, after a name.
	LinkedAfter(number uint64, after stream.Name, limit int) []stream.Name
	// Unlinked returns the subscriptions, in order of their numbers, whose pattern
	// matches name. Unless afresh is set it may leave out those that were linked
	// when it was asked before.
	Unlinked(name stream.Name, afresh bool) []uint64
	// WakeStream reports the wake stream of some subscription.
	WakeStream(name stream.Name) bool
	// WokenBy returns the subscriptions whose wake stream it is, in order of their
	// numbers.
	WokenBy(name stream.Name) []uint64

	// Stream returns nil when there is none.
	Stream(stream.Name) *stream.State
	// StreamsAfter returns streams whose name begins with prefix, in order, after a
	// name: up to about limit of them, and all of them when fewer than limit.
	StreamsAfter(prefix string, after stream.Name, limit int) []stream.Name
	// Ends reports whether an append stored under incarnation ends at pos.
	Ends(incarnation, pos uint64) bool

	// Drawn is the highest number drawn of anything.
	Drawn() uint64
	Keys() []Key
}

// Change is a decision made and not yet carried out.
type Change struct {
	Subscriptions []*Subscription // new, or in place of the one of the same number
	Gone          []uint64        // tombstones with nothing left to clean
	Links         []LinkChange    // in order; a later one replaces an earlier
	Event         *Event          // to append to a wake stream that takes it
	Keys          []Key           // in place of all, when not nil
	Drawn         uint64          // the number drawn; 0 for none
	Lapsed        int             // leases that have ended
	Woken         int             // wakes that have begun
}

// LinkChange replaces a link; Gone removes it.
type LinkChange struct {
	Number uint64
	Name   stream.Name
	Link   Link
	Gone   bool
}

// Event is what a pull-wake writes.
type Event struct {
	Stream stream.Name
	Body   stream.Payload
}

// Decide says what cmd does at machine time now, and fills c, which must be
// empty, with the change.
func Decide(v View, now stream.Time, cmd Command, c *Change) Result {
	d := decision{view: v, now: now, change: c}
	var out Outcome
	var no *Refusal
	switch cmd := cmd.(type) {
	case Create:
		out, no = d.create(cmd)
	case Delete:
		out = d.delete(cmd)
	case AddStreams:
		out, no = d.addStreams(cmd)
	case RemoveStream:
		out, no = d.removeStream(cmd)
	case Claim:
		out, no = d.claim(cmd)
	case Ack:
		out, no = d.ack(cmd)
	case Release:
		out, no = d.release(cmd)
	case Wake:
		out = d.wake(cmd)
	case Attempt:
		out, no = d.attempt(cmd)
	case Delivered:
		out, no = d.delivered(cmd)
	case DeliveryFailed:
		out, no = d.deliveryFailed(cmd)
	case Lapse:
		out = d.lapse(cmd)
	case Step:
		out = d.step(cmd)
	case PutKey:
		out = d.putKey(cmd)
	default:
		panic(fmt.Sprintf("subs: no rule for %T", cmd))
	}
	d.dropUnchanged()
	return Result{Outcome: out, Refusal: no}
}

// dropUnchanged leaves out what was looked at and not written, so that a
// published subscription is replaced only by another.
func (d *decision) dropUnchanged() {
	d.change.Subscriptions = slices.DeleteFunc(d.change.Subscriptions, func(s *Subscription) bool {
		return reflect.DeepEqual(s, d.view.Subscription(s.Number))
	})
}

// decision is one Decide, or Observe, in progress.
type decision struct {
	view   View
	now    stream.Time
	change *Change
}

// edit returns a subscription to be written, nil when it is not there or
// deleted.
func (d *decision) edit(number uint64) *Subscription {
	for _, s := range d.change.Subscriptions {
		if s.Number == number {
			if s.Deleted {
				return nil
			}
			return s
		}
	}
	s := d.view.Subscription(number)
	if s == nil || s.Deleted {
		return nil
	}
	next := *s
	d.change.Subscriptions = append(d.change.Subscriptions, &next)
	return &next
}

// known is edit for a request that names an id.
func (d *decision) known(id ID) (*Subscription, *Refusal) {
	s := d.view.Lookup(id)
	if s == nil {
		return nil, &Refusal{Code: SubscriptionNotFound}
	}
	return d.edit(s.Number), nil
}

// link returns a link as this decision has left it so far.
func (d *decision) link(number uint64, name stream.Name) (Link, bool) {
	for i := len(d.change.Links) - 1; i >= 0; i-- {
		if c := &d.change.Links[i]; c.Number == number && c.Name == name {
			return c.Link, !c.Gone
		}
	}
	return d.view.Link(number, name)
}

// setLink adds or replaces a link, and counts whether it is pending.
func (d *decision) setLink(s *Subscription, name stream.Name, l Link) {
	state := d.view.Stream(name)
	before, had := d.link(s.Number, name)
	d.count(s, name, had && before.pending(state), l.pending(state))
	d.change.Links = append(d.change.Links, LinkChange{Number: s.Number, Name: name, Link: l})
}

// unlink removes a link.
func (d *decision) unlink(s *Subscription, name stream.Name) {
	before, had := d.link(s.Number, name)
	if !had {
		return
	}
	d.count(s, name, before.pending(d.view.Stream(name)), false)
	d.change.Links = append(d.change.Links, LinkChange{Number: s.Number, Name: name, Gone: true})
}

func (d *decision) count(s *Subscription, name stream.Name, was, is bool) {
	switch {
	case !was && is:
		s.pend(d.now, name)
	case was && !is:
		s.settle()
	}
}

// tail is where a link to a stream begins: nothing that is there now is
// delivered.
func (d *decision) tail(name stream.Name) stream.Offset {
	if s := d.view.Stream(name); s != nil && !s.Deleted {
		return s.Tail()
	}
	return stream.Offset{}
}

// eventLooks bounds the search for a stream that is still pending: events are
// written while the log waits.
const eventLooks = 4

// firstPending is the stream that an event names: one that is pending, if one is
// found soon, else the one that became so last. Workers learn from the claim
// what there is to do.
func (d *decision) firstPending(s *Subscription) stream.Name {
	isPending := func(name stream.Name) bool {
		l, ok := d.link(s.Number, name)
		return ok && l.pending(d.view.Stream(name))
	}
	if s.Trigger != "" && isPending(s.Trigger) {
		return s.Trigger
	}
	after := stream.Name("")
	for range eventLooks {
		names := d.view.LinkedAfter(s.Number, after, stepStreams)
		for _, name := range names {
			if isPending(name) {
				return name
			}
		}
		if len(names) < stepStreams {
			break
		}
		after = names[len(names)-1]
	}
	return s.Trigger
}

func (d *decision) putKey(c PutKey) Outcome {
	keys, put := putKey(d.view.Keys(), c, d.now)
	if put {
		d.change.Keys = keys
	}
	if len(keys) == 0 {
		return Outcome{}
	}
	return Outcome{Kid: keys[len(keys)-1].Kid, Created: put}
}
