package fsm

import (
	"fmt"

	"mainstem/storage"
	"mainstem/stream"
)

// sessionSlots is how many outcomes of a session have a place where the next one
// replaces them. A proposer has no more than two batches in flight.
const sessionSlots = 4

// sessions remembers, for each proposer, the outcomes of the batches that it
// may propose again. It is replicated: part of the copy, of its checkpoints, and
// of the commit that applies the batch.
//
// A batch writes one key: the slot of its sequence, with the outcome, and the session
// as the batch leaves it. What the session is, its last slot says. A slot whose
// outcome the proposer may still ask for is not written over: the outcome has a key
// of its own then, and the session too. So had all before stream.LevelSlots.
type sessions struct {
	held     map[uint64]stream.Session
	outcomes map[uint64]map[uint64]outcome // by session and sequence
	buf      []byte
}

type outcome struct {
	results []stream.Result
	own     bool // it has a key of its own
}

func loadSessions(engine *storage.Engine) (*sessions, error) {
	s := &sessions{held: map[uint64]stream.Session{}, outcomes: map[uint64]map[uint64]outcome{}}
	if err := engine.EachSession(sessionLoader{s}); err != nil {
		return nil, err
	}
	for id, outcomes := range s.outcomes { // slots keep what was let go until they are written over
		for sequence, o := range outcomes {
			if !o.own && sequence < s.held[id].Floor {
				delete(outcomes, sequence)
			}
		}
	}
	return s, nil
}

// sessionLoader fills sessions with what the copy holds.
type sessionLoader struct{ *sessions }

func (l sessionLoader) Session(id uint64, encoded []byte) error {
	one, err := stream.DecodeSession(encoded)
	l.held[id], l.outcomes[id] = one, map[uint64]outcome{}
	return err
}

func (l sessionLoader) Slot(id uint64, encoded []byte) error {
	left, sequence, results, err := stream.DecodeOutcome(encoded)
	if err != nil {
		return err
	}
	one := l.held[id]
	one.Use(max(one.UsedAt, left.UsedAt), left.Floor)
	l.held[id] = one
	return l.put(id, sequence, outcome{results: results})
}

func (l sessionLoader) Outcome(id, sequence uint64, encoded []byte) error {
	results, err := stream.DecodeResults(encoded)
	if err != nil {
		return err
	}
	return l.put(id, sequence, outcome{results: results, own: true})
}

func (l sessionLoader) put(id, sequence uint64, o outcome) error {
	if l.outcomes[id] == nil {
		return fmt.Errorf("%w: outcome %d of session %d has no session", storage.ErrCorrupt, sequence, id)
	}
	l.outcomes[id][sequence] = o
	return nil
}

// judge tells what to do with a batch, and its outcome if it is a repeat.
func (s *sessions) judge(h stream.Header) (stream.Verdict, []stream.Result) {
	if h.Session == 0 {
		return stream.Fresh, nil
	}
	one, known := s.held[h.Session]
	if !known {
		return stream.Lost, nil
	}
	o, held := s.outcomes[h.Session][h.Sequence]
	return one.Judge(h.Sequence, held), o.results
}

// open begins a session and ends those that it displaces.
func (s *sessions) open(id uint64, now stream.Time, b *storage.Batch) {
	for _, old := range stream.Evicted(s.held, now) {
		delete(s.held, old)
		delete(s.outcomes, old)
		b.DropSession(old)
	}
	one := stream.Session{UsedAt: now}
	s.held[id], s.outcomes[id] = one, map[uint64]outcome{}
	b.PutSession(id, stream.AppendSession(nil, one))
}

// keep stores the outcome of a fresh batch, and lets go of those that its
// proposer no longer needs.
func (s *sessions) keep(h stream.Header, now stream.Time, results []stream.Result, b *storage.Batch) {
	one, held := s.held[h.Session]
	if !held { // no session, or one that the batch itself displaced
		return
	}
	one.Use(now, h.Floor)
	s.held[h.Session] = one
	outcomes := s.outcomes[h.Session]
	own := h.Level < stream.LevelSlots || h.Sequence < one.Floor // which a load would take for let go
	for sequence, o := range outcomes {
		switch {
		case sequence < one.Floor:
			delete(outcomes, sequence)
			if o.own {
				b.DeleteOutcome(h.Session, sequence)
			}
		case !o.own && sequence%sessionSlots == h.Sequence%sessionSlots:
			own = true
		}
	}
	outcomes[h.Sequence] = outcome{results, own}
	if own {
		b.PutSession(h.Session, stream.AppendSession(nil, one))
		b.PutOutcome(h.Session, h.Sequence, stream.AppendResults(nil, results))
		return
	}
	s.buf = stream.AppendOutcome(s.buf[:0], one, h.Sequence, results)
	b.PutSlot(h.Session, byte(h.Sequence%sessionSlots), s.buf)
}
