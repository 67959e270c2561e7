package subs

import (
	"encoding/json"

	"mainstem/stream"
)

// wake begins what is due; if nothing is any more, it says so.
func (d *decision) wake(c Wake) Outcome {
	s := d.edit(c.Number)
	if s == nil || s.WakeID != "" || s.Pending == 0 || s.NextAttempt > d.now {
		return Outcome{Number: c.Number}
	}
	if s.Config.Kind == Webhook {
		s.begin(c.WakeID, Sending)
		s.lease(d.now)
	} else if !d.announce(s, c.WakeID) {
		s.fail(d.now, c.Jitter)
		return Outcome{Number: c.Number}
	}
	d.change.Woken++
	return Outcome{Number: s.Number, Generation: s.Generation, WakeID: s.WakeID, Woke: true}
}

// announce begins a pull-wake and writes its event: in one decision, so that a
// generation has exactly one. It reports false, and has done nothing, when the
// wake stream takes no event.
func (d *decision) announce(s *Subscription, wakeID string) bool {
	state := d.view.Stream(s.Config.WakeStream)
	if state == nil || !state.Live(d.now) || state.Closed || !state.ContentType.JSON() {
		return false
	}
	body, err := wakeEvent(s, d.firstPending(s), s.Generation+1, d.now)
	if err != nil {
		return false
	}
	s.begin(wakeID, Announced)
	s.succeed()
	d.change.Event = &Event{Stream: s.Config.WakeStream, Body: body}
	return true
}

// wakeEvent is the message of §7.2.
func wakeEvent(s *Subscription, pending stream.Name, generation uint64, now stream.Time) (stream.Payload, error) {
	message, err := json.Marshal(struct {
		Type           string      `json:"type"`
		SubscriptionID ID          `json:"subscription_id"`
		Stream         stream.Name `json:"stream"`
		Generation     uint64      `json:"generation"`
		TS             stream.Time `json:"ts"`
	}{"wake", s.ID, pending, generation, now})
	if err != nil {
		return stream.Payload{}, err
	}
	return stream.Frame("application/json", message)
}

// claim applies §7.2. A worker that comes before the event begins the wake.
func (d *decision) claim(c Claim) (Outcome, *Refusal) {
	s, no := d.known(c.ID)
	if no != nil {
		return Outcome{}, no
	}
	if s.Config.Kind != PullWake {
		return Outcome{}, invalid("the subscription is a webhook's, which is not claimed; answer its deliveries, or create one of type pull-wake")
	}
	d.endLease(s)
	switch {
	case s.Holder != "":
		return Outcome{}, &Refusal{Code: AlreadyClaimed, Holder: s.Holder, Generation: s.Generation,
			Detail: "worker " + quote(s.Holder) + " holds the subscription; wait for its lease to end"}
	case s.Pending == 0:
		return Outcome{}, &Refusal{Code: NoPendingWork}
	}
	if s.WakeID == "" {
		if !d.announce(s, c.WakeID) {
			s.begin(c.WakeID, Announced) // the worker is here, so it need not be called
		}
		d.change.Woken++
	}
	s.Phase, s.Holder = Claimed, c.Worker
	s.lease(d.now)
	return Outcome{Number: s.Number, Generation: s.Generation, WakeID: s.WakeID, Woke: true}, nil
}

// endLease carries out the end of a lease that has passed, whoever asks first.
func (d *decision) endLease(s *Subscription) {
	if s.leaseOver(d.now) {
		s.lapse(d.now, 0)
		d.change.Lapsed++
	}
}

// lapse applies §7.3: what was in flight is fenced, and pending work wakes again.
func (d *decision) lapse(c Lapse) Outcome {
	s := d.edit(c.Number)
	if s == nil || s.Generation != c.Generation || !s.leaseOver(d.now) {
		return Outcome{Number: c.Number}
	}
	s.lapse(d.now, c.Jitter)
	d.change.Lapsed++
	return Outcome{Number: s.Number, Generation: s.Generation, Pending: s.Pending > 0}
}

// current is edit for whoever acts on a wake: it must be the one in flight.
func (d *decision) current(number, generation uint64, wakeID string) (*Subscription, *Refusal) {
	s := d.edit(number)
	if s == nil {
		return nil, &Refusal{Code: SubscriptionNotFound}
	}
	d.endLease(s)
	if s.WakeID == "" || s.Generation != generation || s.WakeID != wakeID {
		return nil, &Refusal{Code: Fenced, Generation: s.Generation}
	}
	return s, nil
}

// attempt is asked before a wake is sent again, so that no deposed leader does.
func (d *decision) attempt(c Attempt) (Outcome, *Refusal) {
	s, no := d.current(c.Number, c.Generation, c.WakeID)
	switch {
	case no != nil:
		return Outcome{}, no
	case s.Phase == Retrying && s.NextAttempt > d.now, s.Phase != Retrying && s.Phase != Sending:
		return Outcome{}, &Refusal{Code: Fenced, Generation: s.Generation}
	}
	s.Phase, s.NextAttempt = Sending, 0
	s.lease(d.now)
	return Outcome{Number: s.Number, Generation: s.Generation, WakeID: s.WakeID, Woke: true}, nil
}

func (d *decision) delivered(c Delivered) (Outcome, *Refusal) {
	s, no := d.current(c.Number, c.Generation, c.WakeID)
	if no != nil {
		return Outcome{}, no
	}
	if s.Phase == Sending {
		s.Phase = Taken
		s.succeed()
	}
	return Outcome{Number: s.Number, Generation: s.Generation}, nil
}

// deliveryFailed keeps the wake, to be sent again as it is.
func (d *decision) deliveryFailed(c DeliveryFailed) (Outcome, *Refusal) {
	s, no := d.current(c.Number, c.Generation, c.WakeID)
	if no != nil {
		return Outcome{}, no
	}
	if s.Phase == Sending { // else its handler has called back meanwhile
		s.Phase = Retrying
		s.fail(d.now, c.Jitter)
	}
	return Outcome{Number: s.Number, Generation: s.Generation}, nil
}
