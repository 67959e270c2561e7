package fsm

import (
	"bytes"
	"fmt"
	"iter"

	"mainstem/stream"
)

var _ stream.View = (*txn)(nil)

// Stream implements stream.View.
func (t *txn) Stream(name stream.Name) *stream.State { return t.states.get(name).current }

// Producer implements stream.View.
func (t *txn) Producer(incarnation uint64, id string) (stream.ProducerState, bool) {
	if p, ok := t.producers[producerKey{incarnation, id}]; ok {
		return p, true
	}
	encoded, ok, err := t.engine.Producer(incarnation, id)
	if err != nil {
		panic(fmt.Sprintf("fsm: read producer: %v", err))
	}
	if !ok {
		return stream.ProducerState{}, false
	}
	p, err := stream.DecodeProducerState(encoded)
	if err != nil {
		panic(fmt.Sprintf("fsm: decode producer: %v", err))
	}
	return p, true
}

// Incarnations implements stream.View.
func (t *txn) Incarnations() uint64 { return t.globals.Incarnations }

// Stored implements stream.View.
func (t *txn) Stored() uint64 { return t.globals.Stored }

// Limits implements stream.View.
func (t *txn) Limits() stream.Limits { return t.limits }

// Ends implements stream.View.
func (t *txn) Ends(incarnation, pos uint64) (found bool) {
	for r := range t.uncommitted(incarnation) {
		end := r.start
		for _, a := range r.appends {
			if end += uint64(len(a.Data)); end == pos {
				return true
			}
		}
	}
	if pos > 0 {
		t.stored(incarnation, pos-1, func(r *stream.Record) { found = r.EndsAt(pos) })
	}
	return found
}

// AppendAt implements stream.View.
func (t *txn) AppendAt(incarnation, pos uint64) (a stream.StoredAppend, ok bool) {
	for r := range t.uncommitted(incarnation) {
		at := r.start
		for _, a := range r.appends {
			if at == pos {
				return a, true
			}
			at += uint64(len(a.Data))
		}
	}
	t.stored(incarnation, pos, func(r *stream.Record) {
		a, ok = r.AppendAt(pos)
		a.Data = bytes.Clone(a.Data)
	})
	return a, ok
}

// Holding implements stream.View.
func (t *txn) Holding(incarnation, pos uint64) (held stream.Held, ok bool) {
	for r := range t.uncommitted(incarnation) {
		start := r.start
		for _, a := range r.appends {
			end := start + uint64(len(a.Data))
			if start <= pos && pos < end {
				return stream.Held{Start: start, End: end, At: a.At}, true
			}
			start = end
		}
	}
	t.stored(incarnation, pos, func(r *stream.Record) {
		r.Each(func(start, end uint64, at stream.Time) bool {
			held, ok = stream.Held{Start: start, End: end, At: at}, start <= pos && pos < end
			return !ok
		})
	})
	return held, ok
}

// WholeBefore implements stream.View. The record of the current entry may grow
// until that ends.
func (t *txn) WholeBefore(incarnation, pos uint64) uint64 {
	if i := t.findRun(incarnation); i >= 0 && t.runs[i].start < pos {
		return t.runs[i].start
	}
	whole := pos
	for _, r := range t.done {
		if r.incarnation == incarnation && r.start < pos && r.start+uint64(r.bytes()) > pos {
			whole = r.start
		}
	}
	t.stored(incarnation, pos, func(r *stream.Record) { whole = r.Start })
	return whole
}

// uncommitted yields what the current entry and those before it in the same
// commit have added to incarnation. Only forks ask, and forks are rare.
func (t *txn) uncommitted(incarnation uint64) iter.Seq[run] {
	return func(yield func(run) bool) {
		for _, runs := range [][]run{t.done, t.runs} {
			for _, r := range runs {
				if r.incarnation == incarnation && !yield(r) {
					return
				}
			}
		}
	}
}

// stored calls fn with the committed record that holds pos, if there is one.
func (t *txn) stored(incarnation, pos uint64, fn func(*stream.Record)) {
	err := t.engine.Records(incarnation, pos, func(start uint64, value []byte) bool {
		r, err := stream.ParseRecord(start, value)
		if err != nil {
			panic(fmt.Sprintf("fsm: record %d of incarnation %d: %v", start, incarnation, err))
		}
		if start <= pos && pos < r.End() {
			fn(&r)
		}
		return false
	})
	if err != nil {
		panic(fmt.Sprintf("fsm: read records of incarnation %d: %v", incarnation, err))
	}
}
