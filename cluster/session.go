package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mainstem/stream"
)

// session is this process's name in the log. The machine recognises a batch that
// is proposed again under the same session and sequence, and answers it with its
// first outcome: what may have been proposed can safely be proposed once more.
//
// A session lives in memory only. Another start opens another, and the machine
// forgets the old one in time.
type session struct {
	opening chan struct{} // holds a token while one batch opens it

	mu       sync.Mutex // guards what follows
	id       uint64     // 0 until opened
	used     time.Time
	sequence uint64   // the last one given out
	inFlight []uint64 // sequences without an answer, ascending
}

func newSession() *session { return &session{opening: make(chan struct{}, 1)} }

// errSessionLost means that the machine does not know the session any more and
// has refused a batch that was proposed once only: it was not carried out.
var errSessionLost = errors.New("the machine has forgotten this node's session; it opens another")

// place gives b its session and sequence. It reports false when a session has to
// be opened first.
func (s *session) place(b *batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.id != 0 && len(s.inFlight) == 0 && now.Sub(s.used) > stream.SessionIdle/2 {
		s.id = 0
	}
	if s.id == 0 {
		return false
	}
	s.used = now
	s.sequence++
	s.inFlight = append(s.inFlight, s.sequence)
	b.session, b.sequence = s.id, s.sequence
	return true
}

// floor is the lowest sequence of b's session that has no answer yet.
func (s *session) floor(b *batch) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == b.session && len(s.inFlight) > 0 {
		return s.inFlight[0]
	}
	return b.sequence
}

// release says that b needs its place no longer: it has its answer, or nobody
// waits for one.
func (s *session) release(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == b.session {
		s.inFlight = slices.DeleteFunc(s.inFlight, func(q uint64) bool { return q == b.sequence })
	}
	b.session, b.sequence = 0, 0
}

// opened begins a session; batches of the one before keep their places in that.
func (s *session) opened(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.used, s.sequence, s.inFlight = id, time.Now(), 0, nil
}

// lost forgets a session that the machine does not know.
func (s *session) lost(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == id {
		s.id = 0
	}
}

// ensurePlace gives b its place in the session, opening one if there is none. A
// session whose opening has an unknown outcome is left to the machine to forget,
// so such an attempt counts as not proposed.
func (n *Node) ensurePlace(reign reign, deadline time.Time, b *batch) error {
	if b.session != 0 || n.session.place(b) {
		return nil
	}
	select {
	case n.session.opening <- struct{}{}:
		defer func() { <-n.session.opening }()
	default:
		return notProposed(errors.New("another batch is opening this node's session"))
	}
	if n.session.place(b) {
		return nil
	}
	opening := &batch{envelope: stream.AppendToEnvelope(stream.NewEnvelope(nil), stream.OpenSession{}), commands: 1}
	results, err := n.tryBatch(reign, deadline, opening)
	if err != nil {
		return notProposed(fmt.Errorf("open a session: %w", err))
	}
	id := results[0].Outcome.Session
	if id == 0 {
		return notProposed(fmt.Errorf("open a session: %v", results[0].Rejection))
	}
	n.session.opened(id)
	n.session.place(b)
	return nil
}

// attempt proposes b once, under its place in the session.
func (n *Node) attempt(reign reign, deadline time.Time, b *batch) ([]stream.Result, error) {
	if err := n.ensurePlace(reign, deadline, b); err != nil {
		return nil, err
	}
	stream.Address(b.envelope, b.session, b.sequence, n.session.floor(b))
	results, err := n.tryBatch(reign, deadline, b)
	switch {
	case err == nil && refusedAsLost(results):
		n.session.lost(b.session)
		if b.doubt != nil {
			return nil, fmt.Errorf("%w (proposed more than once, and the session has ended: %w)", ErrOutcomeUnknown, b.doubt)
		}
		n.session.release(b)
		b.envelope = bytes.Clone(b.envelope) // raft may still hold the first
		return nil, notProposed(errSessionLost)
	case errors.Is(err, ErrOutcomeUnknown):
		b.doubt = err
		b.envelope = bytes.Clone(b.envelope)
		n.metrics.repeats.Inc()
	}
	return results, err
}

// refusedAsLost reports that the machine refused a whole batch because it cannot
// tell it from a repeat.
func refusedAsLost(results []stream.Result) bool {
	no := results[0].Rejection
	return no != nil && no.Code == stream.OutcomeUnknown
}
