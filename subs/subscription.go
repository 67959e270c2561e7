package subs

import (
	"time"

	"mainstem/stream"
)

// Phase is how far the current wake has come. It is stored: append only.
type Phase uint8

const (
	Idle      Phase = iota // no wake is in flight
	Sending                // webhook: a leader sends it, or did when it ended
	Retrying               // webhook: it is sent again at NextAttempt
	Taken                  // webhook: taken; its handler may call back
	Announced              // pull-wake: its event is in the wake stream
	Claimed                // pull-wake: a worker holds it
)

// Subscription is all that the rules know of one subscription but its links. A
// published one is never written.
type Subscription struct {
	ID        ID
	Number    uint64 // drawn at creation, never used again
	Config    Config // without Streams, which are links and in Hash
	Hash      string
	Base      string // the stream root as its creator reached it
	CreatedAt stream.Time

	Generation  uint64      // counts the wakes; fences what is older
	WakeID      string      `json:",omitempty"` // of the wake in flight
	Phase       Phase       `json:",omitempty"`
	Holder      string      `json:",omitempty"` // the worker that has claimed
	LeaseUntil  stream.Time `json:",omitempty"` // 0 for no lease
	Retries     uint32      `json:",omitempty"` // failures in a row
	NextAttempt stream.Time `json:",omitempty"` // after a failure; 0 for at once
	Failed      bool        `json:",omitempty"` // the last attempt did, and another is scheduled

	Pending      uint64      `json:",omitempty"` // links with data after their cursor
	PendingSince stream.Time `json:",omitempty"`
	Trigger      stream.Name `json:",omitempty"` // of the stream that became pending last

	Linking bool        `json:",omitempty"` // existing streams are still to be looked at ...
	Linked  stream.Name `json:",omitempty"` // ... after this one
	Deleted bool        `json:",omitempty"` // a tombstone, whose links are still to be removed
}

// Pattern is the parsed glob; ok is false when there is none.
func (s *Subscription) Pattern() (p Pattern, ok bool) {
	if s.Config.Pattern == "" {
		return Pattern{}, false
	}
	p, no := ParsePattern(s.Config.Pattern)
	return p, no == nil
}

// Status is the word of §6.3.
func (s *Subscription) Status() string {
	if s.Failed {
		return "failed"
	}
	return "active"
}

// Work is what a leader owes a subscription.
type Work uint8

const (
	NoWork  Work = iota
	DoStep       // link or clean some more: Step
	DoWake       // begin a wake: Wake
	DoSend       // send the wake again: Attempt
	DoLapse      // end a lease: Lapse
)

// Next says what is due next, and from when. A wake that is being sent is due
// at the end of its lease only: whoever proposed the attempt sends it.
func (s *Subscription) Next() (w Work, at stream.Time) {
	switch {
	case s.Deleted || s.Linking:
		return DoStep, 0
	case s.WakeID == "":
		if s.Pending > 0 {
			return DoWake, s.NextAttempt
		}
	case s.Phase == Retrying:
		return DoSend, s.NextAttempt
	case s.LeaseUntil != 0:
		return DoLapse, s.LeaseUntil
	}
	return NoWork, 0
}

// begin starts a wake.
func (s *Subscription) begin(wakeID string, phase Phase) {
	s.Generation++
	s.WakeID, s.Phase, s.Holder = wakeID, phase, ""
	s.LeaseUntil, s.NextAttempt = 0, 0
}

// end clears the wake, its holder and its lease.
func (s *Subscription) end() {
	s.WakeID, s.Phase, s.Holder = "", Idle, ""
	s.LeaseUntil, s.NextAttempt = 0, 0
}

// lease starts or extends the lease.
func (s *Subscription) lease(now stream.Time) { s.LeaseUntil = now.Add(s.Config.LeaseTTL) }

// succeed forgets failures.
func (s *Subscription) succeed() { s.Failed, s.Retries, s.NextAttempt = false, 0, 0 }

// fail schedules the next attempt.
func (s *Subscription) fail(now stream.Time, jitter int) {
	s.NextAttempt = now.Add(Backoff(s.Retries, jitter))
	s.Failed, s.LeaseUntil = true, 0
	s.Retries++
}

// lapse ends a wake whose lease has run out. One that was never taken counts as
// a failed delivery, so that a receiver that hangs is not asked without a pause.
func (s *Subscription) lapse(now stream.Time, jitter int) {
	unsent := s.Phase == Sending
	s.end()
	if unsent {
		s.fail(now, jitter)
	}
}

func (s *Subscription) leaseOver(now stream.Time) bool {
	return s.LeaseUntil != 0 && now >= s.LeaseUntil
}

// pend counts a link that came to have data after its cursor.
func (s *Subscription) pend(now stream.Time, name stream.Name) {
	if s.Pending == 0 {
		s.PendingSince = now
	}
	s.Pending++
	s.Trigger = name
}

// settle counts one that no longer has.
func (s *Subscription) settle() {
	s.Pending--
	if s.Pending == 0 {
		s.PendingSince, s.Trigger = 0, ""
	}
}

// Limits of the pause between attempts (§7.1).
const (
	backoffMin = time.Second
	backoffMax = time.Minute
	// JitterMax is by how many thousandths a pause may be moved.
	JitterMax = 200
)

// Backoff is the pause after a number of failures and one more. jitter is in
// thousandths, drawn by the proposer.
func Backoff(failures uint32, jitter int) time.Duration {
	pause := backoffMax
	if failures < 6 { // 1 s, 2 s, … 32 s
		pause = backoffMin << failures
	}
	jitter = max(-JitterMax, min(JitterMax, jitter))
	return pause + pause*time.Duration(jitter)/1000
}
