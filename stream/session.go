package stream

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// Limits of sessions. A proposer that has been quiet for half of SessionIdle
// opens a new one rather than risk the old one's end.
const (
	SessionsMax = 1024
	SessionIdle = time.Hour // of machine time without use
)

// Session is what replicas remember of one proposer, beside the outcomes of
// its latest batches, so that a batch proposed again is answered and not
// applied again.
type Session struct {
	UsedAt Time
	Floor  uint64 // every lower sequence was answered; its outcome is gone
}

// Verdict says what to do with a batch of a session.
type Verdict uint8

const (
	Fresh  Verdict = iota // never seen: apply it
	Repeat                // applied before: answer with the stored outcome
	Lost                  // nobody can tell any more: refuse it, never apply it
)

// Judge tells a batch from its repeats. The sequences that are held form a
// window, not a high-water mark: of two batches in flight the second may be
// applied first.
func (s *Session) Judge(sequence uint64, held bool) Verdict {
	switch {
	case held:
		return Repeat
	case sequence < s.Floor:
		return Lost
	}
	return Fresh
}

// Use records a batch: its floor never moves back.
func (s *Session) Use(now Time, floor uint64) { s.UsedAt, s.Floor = now, max(s.Floor, floor) }

// Evicted names, in order, the sessions that end when one more is opened: the
// idle ones, and the least recently used beyond SessionsMax.
func Evicted(sessions map[uint64]Session, now Time) []uint64 {
	ids := make([]uint64, 0, len(sessions))
	for id := range sessions {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint64) int {
		return cmp.Or(cmp.Compare(sessions[a].UsedAt, sessions[b].UsedAt), cmp.Compare(a, b))
	})
	over := len(ids) + 1 - SessionsMax
	for n, id := range ids {
		if n >= over && sessions[id].UsedAt.Add(SessionIdle) > now {
			return ids[:n]
		}
	}
	return ids
}

// AppendSession appends the stored form of s to b.
func AppendSession(b []byte, s Session) []byte {
	b = binary.AppendVarint(b, int64(s.UsedAt))
	return binary.AppendUvarint(b, s.Floor)
}

// AppendOutcome appends the stored form of a session together with the results of
// one of its batches: the last that it had.
func AppendOutcome(b []byte, s Session, sequence uint64, results []Result) []byte {
	b = AppendSession(b, s)
	b = binary.AppendUvarint(b, sequence)
	return AppendResults(b, results)
}

// DecodeOutcome is the inverse of AppendOutcome.
func DecodeOutcome(b []byte) (s Session, sequence uint64, results []Result, err error) {
	d := decoder{b: b}
	s, sequence = Session{UsedAt: Time(d.varint()), Floor: d.uvarint()}, d.uvarint()
	results = d.results()
	return s, sequence, results, d.done()
}

// DecodeSession is the inverse of AppendSession.
func DecodeSession(b []byte) (Session, error) {
	d := decoder{b: b}
	s := Session{UsedAt: Time(d.varint()), Floor: d.uvarint()}
	return s, d.done()
}
