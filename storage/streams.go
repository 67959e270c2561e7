package storage

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mainstem/stream"
)

// What is stored under the name of a stream is its state as it was when something
// else than its tail last changed. Whoever reads one gets it with the tail where the
// last record ends: nothing in this package hands out a state without.

// Stream returns the state of a stream, nil when there is none. The caller owns it.
func (e *Engine) Stream(name stream.Name) (s *stream.State, err error) {
	err = e.scan([]byte{prefixData}, []byte{prefixStream + 1}, func(it *pebble.Iterator) error {
		var buf [128]byte
		if !it.SeekPrefixGE(appendStreamKey(buf[:0], name)) {
			return nil
		}
		encoded, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if s, err = decodeState(name, encoded); err != nil {
			return err
		}
		_, err = moveToTail(it, s)
		return err
	})
	if err != nil {
		return nil, named("read stream "+string(name), e.cfg.Dir, err)
	}
	return s, nil
}

// EachStream visits the streams whose name begins with prefix and comes after
// after, in the order of their bytes, until fn returns false. fn may keep the State.
func (e *Engine) EachStream(prefix, after string, fn func(name stream.Name, s *stream.State) bool) error {
	return e.names(prefix, after, func(it *pebble.Iterator) error {
		return eachState(it, func(name stream.Name, s *stream.State, _ bool) (more bool, err error) { return fn(name, s), nil })
	})
}

// EachName is EachStream for who wants no states, which is cheaper.
func (e *Engine) EachName(prefix, after string, fn func(name stream.Name) bool) error {
	return e.names(prefix, after, func(it *pebble.Iterator) error {
		for ok := it.First(); ok && fn(stream.Name(it.Key()[1:])); ok = it.Next() {
		}
		return nil
	})
}

func (e *Engine) names(prefix, after string, fn func(*pebble.Iterator) error) error {
	lower, upper := appendStreamKey(nil, prefix), successor(appendStreamKey(nil, prefix))
	if past := append(appendStreamKey(nil, after), 0); after != "" && string(past) > string(lower) {
		lower = past
	}
	return named("list streams", e.cfg.Dir, e.scan(lower, upper, fn))
}

// eachState visits the streams among the keys of it; see moveToTail for short.
func eachState(it *pebble.Iterator, fn func(name stream.Name, s *stream.State, short bool) (more bool, err error)) (err error) {
	var tails tailReader
	defer func() { err = errors.Join(err, tails.close()) }()
	more := true
	for ok := it.First(); ok && more; ok = it.Next() {
		encoded, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		name := stream.Name(it.Key()[1:])
		s, err := decodeState(name, encoded)
		if err != nil {
			return err
		}
		short, err := tails.move(it, s)
		if err != nil {
			return err
		}
		if more, err = fn(name, s, short); err != nil {
			return err
		}
	}
	return nil
}

// tailReader finds the tails of streams that another iterator goes through, in what
// that one sees.
type tailReader struct{ records *pebble.Iterator }

func (r *tailReader) move(it *pebble.Iterator, s *stream.State) (short bool, err error) {
	if r.records == nil {
		bounds := pebble.IterOptions{LowerBound: []byte{prefixData}, UpperBound: []byte{prefixData + 1}}
		if r.records, err = it.Clone(pebble.CloneOptions{IterOptions: &bounds}); err != nil {
			return false, err
		}
	}
	return moveToTail(r.records, s)
}

func (r *tailReader) close() error {
	if r.records == nil {
		return nil
	}
	return r.records.Close()
}

// moveToTail sets where the data of s ends. it may be over any keys: its bounds are
// changed. A stored tail beyond the last record stays. Where data that is kept must
// lie between them it is missing, which is short; whoever reads there says so.
func moveToTail(it *pebble.Iterator, s *stream.State) (short bool, err error) {
	end, err := recordsEnd(it, s.Incarnation)
	short = end < s.Pos && max(s.Base, s.Horizon) < s.Pos
	s.Pos = max(s.Pos, end)
	return short, err
}

// recordsEnd is where the last record of an incarnation ends, 0 if there is none.
func recordsEnd(it *pebble.Iterator, incarnation uint64) (end uint64, err error) {
	var low, high [dataKeyLen]byte
	it.SetBounds(appendIncarnation(low[:0], prefixData, incarnation), appendIncarnationEnd(high[:0], prefixData, incarnation))
	if !it.Last() {
		return 0, it.Error()
	}
	at, err := parseDataKey(it.Key())
	if err != nil {
		return 0, err
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return 0, err
	}
	r, err := stream.ParseRecord(at.First, value)
	if err != nil {
		return 0, fmt.Errorf("%w: record at %d of incarnation %d: %w", ErrCorrupt, at.First, incarnation, err)
	}
	return r.End(), nil
}

func decodeState(name stream.Name, encoded []byte) (*stream.State, error) {
	s, err := stream.DecodeState(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: decode stream %q: %w", ErrCorrupt, name, err)
	}
	return &s, nil
}
