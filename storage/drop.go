package storage

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// dropKeysMax is how many keys of one kind are deleted one by one. Range
// tombstones are dear to every reader: pebble arranges those of the memtable anew
// for the first read after each change, so that some thousand streams deleted
// would slow down all others until the next flush.
const dropKeysMax = 64

// recordKey is the key of a record.
type recordKey struct{ incarnation, pos uint64 }

// DropIncarnation removes all records and producers of an incarnation, those in
// this batch too.
func (b *Batch) DropIncarnation(incarnation uint64) error {
	b.open() // of the copy that is current
	err := b.engine.scan([]byte{prefixData}, []byte{prefixProducer + 1}, func(it *pebble.Iterator) error {
		for _, prefix := range [...]byte{prefixData, prefixProducer} {
			b.key = appendIncarnation(b.key[:0], prefix, incarnation)
			b.end = appendIncarnationEnd(b.end[:0], prefix, incarnation)
			if err := b.dropStored(it); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop incarnation %d: %w", incarnation, err)
	}
	for _, r := range b.records {
		if r.incarnation == incarnation {
			b.key = appendDataKey(b.key[:0], r.incarnation, r.pos)
			b.delete()
		}
	}
	if slices.Contains(b.producers, incarnation) {
		b.dropRange(prefixProducer, incarnation)
	}
	return nil
}

// FreeRecords removes the records of an incarnation that begin at from or after
// it and before to, those in this batch too.
func (b *Batch) FreeRecords(incarnation, from, to uint64) error {
	b.open() // of the copy that is current
	b.key = appendDataKey(b.key[:0], incarnation, from)
	b.end = appendDataKey(b.end[:0], incarnation, to)
	if err := b.engine.scan(b.key, b.end, b.dropStored); err != nil {
		return fmt.Errorf("free incarnation %d from %d to %d: %w", incarnation, from, to, err)
	}
	for _, r := range b.records {
		if r.incarnation == incarnation && from <= r.pos && r.pos < to {
			b.key = appendDataKey(b.key[:0], r.incarnation, r.pos)
			b.delete()
		}
	}
	b.engine.cfg.Metrics.freedBytes(to - from)
	return nil
}

// dropStored removes what the copy holds from key to end: nothing, a few keys, or
// a range.
func (b *Batch) dropStored(it *pebble.Iterator) error {
	it.SetBounds(b.key, b.end)
	n := 0
	for ok := it.First(); ok && n < dropKeysMax; ok = it.Next() {
		n++
	}
	if err := it.Error(); err != nil {
		return err
	}
	if n == dropKeysMax {
		must(b.inner.DeleteRange(b.key, b.end, nil))
		return nil
	}
	for ok := it.First(); ok; ok = it.Next() {
		must(b.inner.Delete(it.Key(), nil))
	}
	return it.Error()
}

func (b *Batch) dropRange(prefix byte, incarnation uint64) {
	b.key = appendIncarnation(b.key[:0], prefix, incarnation)
	b.end = appendIncarnationEnd(b.end[:0], prefix, incarnation)
	must(b.open().DeleteRange(b.key, b.end, nil))
}
