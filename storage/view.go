package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// SumVersion names what a RangeSum covers and how. Nodes compare sums of equal
// versions only.
const SumVersion = 1

// RangeSum is a digest of a part of the copy. Nodes that hold the same have equal
// RangeSums, however their commits were grouped and their tables laid out.
type RangeSum struct {
	Hash  string // SHA-256, hexadecimal
	Next  string // the first key after the part; "" when it reaches the end
	Keys  uint64
	Bytes uint64 // of keys and values
}

// Pace is called before bytes are read, or after, and waits until that many may
// be. Its error ends the reading.
type Pace func(ctx context.Context, bytes int) error

// paceBytes is about how much is read between two calls of a Pace.
const paceBytes = 256 << 10

// View is the copy as it was at one moment. What has been replaced since stays on
// disk until Close, so it is not to be held for long.
type View struct {
	copy *copyDB
	snap *pebble.Snapshot
	once sync.Once
	err  error
}

// View returns the copy as of the last commit. The caller closes it, before the
// Engine.
func (e *Engine) View() (*View, error) {
	c, err := e.acquire()
	if err != nil {
		return nil, err
	}
	return &View{copy: c, snap: c.db.NewSnapshot()}, nil
}

// Close lets the view go. It is safe to call twice.
func (v *View) Close() error {
	v.once.Do(func() {
		v.err = v.snap.Close()
		v.copy.release()
	})
	return v.err
}

// Sum digests the keys from a key on until they hold limit bytes, or the end: one
// key at least. Of Globals, Applied and Term are left out: entries that carry no
// command move them on some nodes earlier than on others.
func (v *View) Sum(ctx context.Context, from string, limit uint64, pace Pace) (sum RangeSum, err error) {
	g, err := loadGlobals(v.snap)
	if err != nil {
		return RangeSum{}, named("digest a part", v.copy.dir, err)
	}
	bounds := new(pebble.IterOptions)
	if from != "" { // which pebble does not take for a key
		bounds.LowerBound = []byte(from)
	}
	it, err := v.snap.NewIter(bounds)
	if err != nil {
		return RangeSum{}, named("digest a part", v.copy.dir, err)
	}
	h, owed := sha256.New(), 0
	err = func() error {
		for ok := it.First(); ok; ok = it.Next() {
			key := it.Key()
			if sum.Keys > 0 && sum.Bytes >= limit {
				sum.Next = string(key)
				return nil
			}
			value, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			if key[0] == prefixGlobals {
				value = g.replicated()
			}
			hashPair(h, key, value)
			sum.Keys++
			sum.Bytes += uint64(len(key) + len(value))
			if owed += len(key) + len(value); owed >= paceBytes {
				if err := pace(ctx, owed); err != nil {
					return err
				}
				owed = 0
			}
		}
		return it.Error()
	}()
	if err = errors.Join(err, it.Close()); err != nil {
		return RangeSum{}, named("digest a part", v.copy.dir, err)
	}
	sum.Hash = hex.EncodeToString(h.Sum(nil))
	return sum, pace(ctx, owed)
}
