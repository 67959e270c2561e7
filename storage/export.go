package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mainstem/stream"
)

// Held says which records a copy holds of one incarnation, by the positions of
// the first and of the last. Those in between are there, unless they were trimmed
// beside what forks inherit.
type Held struct{ Incarnation, First, Last uint64 }

// Export takes what View.Export reads. Keys and values are valid during the call.
type Export interface {
	// Pair is given the pairs in the order of their keys.
	Pair(key, value []byte) error
	// Held is told of every incarnation with records, in order, after those
	// of its records that are new.
	Held(h Held) error
}

// exportIteratorBytes is how much is read with one iterator: it keeps the files
// of its time on disk, which a view does not.
const exportIteratorBytes = 64 << 20

// Export reads the view to its end. Of the records, which never change, it leaves
// out those up to the position that had knows; it asks for each incarnation once,
// in order. All other pairs are read, whether they have changed or not. States have
// the tails that records give them.
func (v *View) Export(ctx context.Context, had func(incarnation uint64) (last uint64, ok bool), to Export) error {
	x := &exporter{ctx: ctx, view: v, had: had, to: to}
	for _, part := range []func() error{
		func() error { return x.pairs(nil, []byte{prefixData}) },
		x.records,
		func() error { return x.pairs([]byte{prefixData + 1}, nil) },
	} {
		if err := part(); err != nil {
			return named("export the copy", v.copy.dir, err)
		}
	}
	return nil
}

// Globals are those of the view.
func (v *View) Globals() (Globals, error) {
	g, err := loadGlobals(v.snap)
	return g, named("read globals", v.copy.dir, err)
}

type exporter struct {
	ctx  context.Context
	view *View
	had  func(uint64) (uint64, bool)
	to   Export
	held *Held // the incarnation whose records are being read, nil for none

	state []byte // scratch
}

// pairs exports all from one key up to another.
func (x *exporter) pairs(from, to []byte) error {
	for from, more := from, true; more; {
		err := x.iterate(from, to, func(it *pebble.Iterator) (err error) {
			var tails tailReader
			defer func() { err = errors.Join(err, tails.close()) }()
			read := 0
			for ok := it.First(); ok; ok = it.Next() {
				value, err := it.ValueAndErr()
				if err != nil {
					return err
				}
				if read >= exportIteratorBytes {
					from = append([]byte(nil), it.Key()...)
					return nil
				}
				if value, err = x.whole(it, value, &tails); err != nil {
					return err
				}
				if err := x.to.Pair(it.Key(), value); err != nil {
					return err
				}
				read += len(it.Key()) + len(value)
			}
			more = false
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whole is a value as those want it who have no records at hand: a state with its
// tail.
func (x *exporter) whole(it *pebble.Iterator, value []byte, tails *tailReader) ([]byte, error) {
	name, ok := ParseStreamKey(it.Key())
	if !ok {
		return value, nil
	}
	s, err := decodeState(stream.Name(name), value)
	if err != nil {
		return nil, err
	}
	if _, err := tails.move(it, s); err != nil {
		return nil, err
	}
	x.state = stream.AppendState(x.state[:0], s)
	return x.state, nil
}

// iterate gives fn an iterator of its own.
func (x *exporter) iterate(from, to []byte, fn func(*pebble.Iterator) error) error {
	if err := x.ctx.Err(); err != nil {
		return context.Cause(x.ctx)
	}
	it, err := x.view.snap.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	err = fn(it)
	if err == nil {
		err = it.Error()
	}
	return errors.Join(err, it.Close())
}

// records exports the records, incarnation by incarnation.
func (x *exporter) records() error {
	from, upper := []byte{prefixData}, []byte{prefixData + 1}
	for from != nil {
		err := x.iterate(from, upper, func(it *pebble.Iterator) (err error) {
			from, err = x.someRecords(it, from)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// someRecords exports records from a key on, until it has read enough with this
// iterator. next is where the rest begins, nil for nowhere.
func (x *exporter) someRecords(it *pebble.Iterator, from []byte) (next []byte, err error) {
	read := 0
	for ok := it.SeekGE(from); ok; {
		if read >= exportIteratorBytes {
			return append([]byte(nil), it.Key()...), nil
		}
		at, err := parseDataKey(it.Key())
		if err != nil {
			return nil, err
		}
		if x.held == nil || x.held.Incarnation != at.Incarnation {
			if err := x.end(); err != nil {
				return nil, err
			}
			x.held = &at
			if last, known := x.had(at.Incarnation); known && last >= at.First {
				at.Last = last
				ok = it.SeekGE(appendDataKey(nil, at.Incarnation, last+1))
				continue
			}
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		if err := x.to.Pair(it.Key(), value); err != nil {
			return nil, err
		}
		x.held.Last = at.First
		read += len(value)
		ok = it.Next()
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	return nil, x.end()
}

// end is called after the last record of an incarnation.
func (x *exporter) end() error {
	if x.held == nil {
		return nil
	}
	h := *x.held
	x.held = nil
	if err := x.ctx.Err(); err != nil {
		return context.Cause(x.ctx)
	}
	return x.to.Held(h)
}

func parseDataKey(key []byte) (h Held, err error) {
	if len(key) != dataKeyLen {
		return h, fmt.Errorf("%w: record key %x has the wrong length", ErrCorrupt, key)
	}
	return Held{Incarnation: binary.BigEndian.Uint64(key[1:]), First: binary.BigEndian.Uint64(key[9:])}, nil
}

// RecordKeys are a key before those of all records of an incarnation and one
// after them.
func RecordKeys(incarnation uint64) (before, after []byte) {
	return appendIncarnation(nil, prefixData, incarnation), appendIncarnationEnd(nil, prefixData, incarnation)
}

// RecordsEnd comes after the keys of all records.
func RecordsEnd() []byte { return []byte{prefixData + 1} }

// ParseRecordKey tells the keys of records from others.
func ParseRecordKey(key []byte) (incarnation, pos uint64, ok bool) {
	if len(key) != dataKeyLen || key[0] != prefixData {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:]), true
}

// StreamKeys are a key before those of all streams and one after them.
func StreamKeys() (before, after []byte) { return []byte{prefixStream}, []byte{prefixStream + 1} }

// ParseStreamKey tells the keys of streams from others.
func ParseStreamKey(key []byte) (name string, ok bool) {
	if len(key) < 2 || key[0] != prefixStream {
		return "", false
	}
	return string(key[1:]), true
}
