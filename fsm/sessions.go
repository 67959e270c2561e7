package fsm

import (
	"fmt"

	"mainstem/storage"
	"mainstem/stream"
)

// sessions remembers, for each proposer, the outcomes of the batches that it
// may propose again. It is replicated: part of the copy, of its checkpoints, and
// of the commit that applies the batch.
type sessions struct {
	held     map[uint64]stream.Session
	outcomes map[uint64]map[uint64][]stream.Result // by session and sequence
}

func loadSessions(engine *storage.Engine) (*sessions, error) {
	s := &sessions{held: map[uint64]stream.Session{}, outcomes: map[uint64]map[uint64][]stream.Result{}}
	err := engine.EachSession(
		func(id uint64, encoded []byte) error {
			one, err := stream.DecodeSession(encoded)
			s.held[id], s.outcomes[id] = one, map[uint64][]stream.Result{}
			return err
		},
		func(id, sequence uint64, encoded []byte) error {
			results, err := stream.DecodeResults(encoded)
			if s.outcomes[id] == nil {
				return fmt.Errorf("outcome %d of session %d has no session", sequence, id)
			}
			s.outcomes[id][sequence] = results
			return err
		})
	return s, err
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
	results, held := s.outcomes[h.Session][h.Sequence]
	return one.Judge(h.Sequence, held), results
}

// open begins a session and ends those that it displaces.
func (s *sessions) open(id uint64, now stream.Time, b *storage.Batch) {
	for _, old := range stream.Evicted(s.held, now) {
		delete(s.held, old)
		delete(s.outcomes, old)
		b.DropSession(old)
	}
	one := stream.Session{UsedAt: now}
	s.held[id], s.outcomes[id] = one, map[uint64][]stream.Result{}
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
	b.PutSession(h.Session, stream.AppendSession(nil, one))
	outcomes := s.outcomes[h.Session]
	for sequence := range outcomes {
		if sequence < one.Floor {
			delete(outcomes, sequence)
			b.DeleteOutcome(h.Session, sequence)
		}
	}
	outcomes[h.Sequence] = results
	b.PutOutcome(h.Session, h.Sequence, stream.AppendResults(nil, results))
}
