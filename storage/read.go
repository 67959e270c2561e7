package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mainstem/stream"
)

// Producer returns the encoded state of a producer. The caller owns it.
func (e *Engine) Producer(incarnation uint64, id string) (encoded []byte, ok bool, err error) {
	var buf [128]byte
	encoded, ok, err = e.get(appendProducerKey(buf[:0], incarnation, id))
	return encoded, ok, named("read producer "+id, e.cfg.Dir, err)
}

func (e *Engine) get(key []byte) (value []byte, ok bool, err error) {
	c, err := e.acquire()
	if err != nil {
		return nil, false, err
	}
	defer c.release()
	v, closer, err := c.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value = append(make([]byte, 0, len(v)), v...)
	return value, true, closer.Close()
}

// successor is the first key after all keys that begin with b, which it may
// change. b has a byte below 0xff: the prefix of the key space.
func successor(b []byte) []byte {
	for b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	b[len(b)-1]++
	return b
}

// Due is one entry of the expiry index, or of the retention index.
type Due struct {
	At   stream.Time
	Name stream.Name
}

// Due returns at most limit entries of the expiry index whose time has come,
// oldest first.
func (e *Engine) Due(now stream.Time, limit int) ([]Due, error) {
	return e.due(prefixExpiry, now, limit)
}

// TrimsDue is Due of the retention index.
func (e *Engine) TrimsDue(now stream.Time, limit int) ([]Due, error) {
	return e.due(prefixTrim, now, limit)
}

func (e *Engine) due(prefix byte, now stream.Time, limit int) (due []Due, err error) {
	if now < 0 || limit <= 0 {
		return nil, nil
	}
	lower := []byte{prefix}
	upper := binary.BigEndian.AppendUint64([]byte{prefix}, uint64(now)+1)
	err = e.scan(lower, upper, func(it *pebble.Iterator) error {
		for ok := it.First(); ok && len(due) < limit; ok = it.Next() {
			d, err := parseTimeKey(it.Key())
			if err != nil {
				return err
			}
			due = append(due, d)
		}
		return nil
	})
	if err != nil {
		return nil, named("read an index by time", e.cfg.Dir, err)
	}
	return due, nil
}

// Records visits the values of one incarnation in the order of their positions,
// beginning with the last that starts at or before pos, or with the first of all
// when none does, until fn returns false. value is valid during the call only.
// All values belong to one state of the copy.
func (e *Engine) Records(incarnation, pos uint64, fn func(start uint64, value []byte) (more bool)) error {
	var low, high, seek [dataKeyLen]byte
	lower := appendIncarnation(low[:0], prefixData, incarnation)
	upper := appendIncarnationEnd(high[:0], prefixData, incarnation)
	err := e.scan(lower, upper, func(it *pebble.Iterator) error {
		at := appendDataKey(seek[:0], incarnation, pos)
		ok := it.SeekGE(at) && string(it.Key()) == string(at) // a read that goes on where one ended
		if !ok {
			ok = it.SeekLT(at) || it.First()
		}
		for ; ok; ok = it.Next() {
			key := it.Key()
			if len(key) != dataKeyLen {
				return fmt.Errorf("%w: record key %x has the wrong length", ErrCorrupt, key)
			}
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			if !fn(binary.BigEndian.Uint64(key[9:]), v) {
				return nil
			}
		}
		return nil
	})
	return named(fmt.Sprintf("read records of incarnation %d", incarnation), e.cfg.Dir, err)
}

// scan gives fn an iterator over one state of the copy and returns the first
// error of fn, of the iterator, or of closing it.
func (e *Engine) scan(lower, upper []byte, fn func(*pebble.Iterator) error) (err error) {
	c, err := e.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() {
		if closed := it.Close(); err == nil {
			err = closed
		}
	}()
	if err := fn(it); err != nil {
		return err
	}
	return it.Error()
}
