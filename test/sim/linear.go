package sim

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// linearMax bounds how long one stream is searched, in real time. A search that
// is cut short is counted and is no verdict.
const linearMax = 5 * time.Second

// tail is a stream as the model knows it.
type tail struct {
	exists, closed bool
	incarnation    uint64 // 0: not told yet
	pos            uint64
	hash           uint64
}

const hashBasis = 14695981039346656037 // FNV-1a of nothing

func hashOn(h uint64, data string) uint64 {
	for i := range len(data) {
		h = (h ^ uint64(data[i])) * 1099511628211
	}
	return h
}

func hashOf(data string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(data))
	return h.Sum64()
}

// linear wants one order of all operations on a stream that explains every
// answer and keeps to the order of real time.
func (v *Verdict) linear(name string, ops []*Op) {
	var events []porcupine.Operation
	for _, o := range ops {
		if e, ok := operation(o); ok {
			events = append(events, e)
		}
	}
	v.Counts["operations ordered"] += len(events)
	switch porcupine.CheckOperationsTimeout(model, events, linearMax) {
	case porcupine.Illegal:
		v.wrong("no order explains the answers about %s (%d operations)", name, len(events))
	case porcupine.Unknown:
		v.Counts["orders not found in time"]++
	}
}

// operation is what the model judges: answers that claim to be current, and
// writes that were or may have been carried out. An unknown one may take effect
// at any later time, or after everything: never.
func operation(o *Op) (porcupine.Operation, bool) {
	e := porcupine.Operation{ClientId: o.Client, Input: o, Output: o, Call: o.Call, Return: o.Return}
	switch o.Kind {
	case Create, Append, Close, Delete:
		if o.Fate() == Refused && o.Status == 503 {
			return e, false
		}
		if o.Fate() == Unknown {
			e.Return = 1 << 62
		}
		return e, true
	case Head, Read:
		return e, !o.Stale && (o.Status == 404 || o.Status == 200 && (o.Kind == Head || o.UpToDate))
	case Poll:
		return e, !o.Stale && (o.Status == 204 || o.Status == 200 && o.UpToDate)
	case Event:
		return e, o.Fenced && o.Status == 200 && o.UpToDate
	}
	return e, false
}

var model = porcupine.Model{
	Init: func() any { return tail{hash: hashBasis} },
	Step: func(state, input, _ any) (bool, any) {
		s, ok := state.(tail).step(input.(*Op))
		return ok, s
	},
	DescribeOperation: func(input, _ any) string { return input.(*Op).String() },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

// step is what an operation makes of a stream, and whether it may answer so.
func (s tail) step(o *Op) (tail, bool) {
	switch o.Kind {
	case Create:
		return s.create(o)
	case Append:
		return s.append(o)
	case Close:
		return s.close(o)
	case Delete:
		done := tail{hash: hashBasis}
		return done, o.Fate() == Unknown || o.Status == 404 && !s.exists || o.Fate() == Done && s.exists
	}
	if o.Status == 404 {
		return s, !s.exists
	}
	s, ok := s.at(o)
	ok = ok && s.exists && s.closed == o.Closed
	if o.Kind == Read && o.From.IsZero() {
		ok = ok && hashOf(o.Body) == s.hash
	}
	return s, ok
}

// at learns or compares the position that an answer names.
func (s tail) at(o *Op) (tail, bool) {
	if s.incarnation == 0 {
		s.incarnation = o.Next.Incarnation
	}
	return s, s.pos == o.Next.Pos && s.incarnation == o.Next.Incarnation
}

func (s tail) create(o *Op) (tail, bool) {
	fresh := tail{exists: true, hash: hashBasis, incarnation: o.Next.Incarnation}
	switch {
	case o.Fate() == Unknown && s.exists:
		return s, true
	case o.Fate() == Unknown, o.Status == 201:
		return fresh, !s.exists
	case o.Status == 200:
		s, ok := s.at(o)
		return s, ok && s.exists && !s.closed
	}
	return s, o.Status == 409 && s.exists && s.closed
}

func (s tail) append(o *Op) (tail, bool) {
	open := s.exists && !s.closed
	switch {
	case o.Status == 404:
		return s, !s.exists
	case o.Status == 409:
		return s, s.exists && s.closed
	case o.Fate() == Unknown && !open:
		return s, true
	case !open:
		return s, false
	}
	s.pos += uint64(len(o.Data))
	s.hash = hashOn(s.hash, o.Data)
	if o.Fate() == Unknown {
		return s, true
	}
	return s.at(o)
}

func (s tail) close(o *Op) (tail, bool) {
	switch {
	case o.Status == 404:
		return s, !s.exists
	case o.Fate() == Unknown:
		s.closed = s.exists
		return s, true
	case !s.exists:
		return s, false
	}
	s.closed = true
	return s.at(o)
}

// linearizable leaves out the streams of producers, whose repeats another checker
// judges, and forks, whose beginning the model does not know.
func linearizable(name string) bool {
	return !strings.HasPrefix(name, "prod-") && !strings.HasPrefix(name, "fork-") && !isTrimmed(name)
}
