package storage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mainstem/stream"
)

// batchBytesKept is the buffer that Reset keeps: a full entry of the log and its keys.
const batchBytesKept = 4 << 20

// Batch collects changes for one Commit. It is reusable after Reset and not
// safe for concurrent use. The arguments of its methods may be reused when they
// return.
type Batch struct {
	engine *Engine
	home   *copyDB // the copy that inner belongs to
	inner  *pebble.Batch
	key    []byte // scratch
	end    []byte // scratch

	records   []recordKey // put since Reset, which a drop must know
	producers []uint64    // incarnations of producers put since Reset
}

// NewBatch returns an empty batch for this engine.
func (e *Engine) NewBatch() *Batch { return &Batch{engine: e} }

// PutStream sets the encoded state of a stream.
func (b *Batch) PutStream(name stream.Name, encoded []byte) {
	b.key = appendStreamKey(b.key[:0], name)
	b.put(encoded)
}

// DeleteStream removes the state of a stream; its data goes by DropIncarnation.
func (b *Batch) DeleteStream(name stream.Name) {
	b.key = appendStreamKey(b.key[:0], name)
	b.delete()
}

// PutProducer sets the encoded state of a producer.
func (b *Batch) PutProducer(incarnation uint64, id string, encoded []byte) {
	b.key = appendProducerKey(b.key[:0], incarnation, id)
	b.put(encoded)
	b.producers = append(b.producers, incarnation)
}

// PutRecord sets the value at pos to the concatenation of encoded.
func (b *Batch) PutRecord(incarnation, pos uint64, encoded ...[]byte) {
	b.key = appendDataKey(b.key[:0], incarnation, pos)
	b.put(encoded...)
	b.records = append(b.records, recordKey{incarnation, pos})
}

// PutDeadline adds an entry to the expiry index.
func (b *Batch) PutDeadline(at stream.Time, name stream.Name) {
	b.key = appendTimeKey(b.key[:0], prefixExpiry, at, name)
	b.put()
}

// DeleteDeadline removes an entry from the expiry index.
func (b *Batch) DeleteDeadline(at stream.Time, name stream.Name) {
	b.key = appendTimeKey(b.key[:0], prefixExpiry, at, name)
	b.delete()
}

// PutTrim adds an entry to the retention index.
func (b *Batch) PutTrim(at stream.Time, name stream.Name) {
	b.key = appendTimeKey(b.key[:0], prefixTrim, at, name)
	b.put()
}

// DeleteTrim removes an entry from the retention index.
func (b *Batch) DeleteTrim(at stream.Time, name stream.Name) {
	b.key = appendTimeKey(b.key[:0], prefixTrim, at, name)
	b.delete()
}

// Empty reports a batch without changes.
func (b *Batch) Empty() bool { return b.inner == nil || b.inner.Empty() }

// Bytes is the size of the batch as it will be committed.
func (b *Batch) Bytes() int {
	if b.inner == nil {
		return 0
	}
	return b.inner.Len()
}

// Reset empties the batch for reuse.
func (b *Batch) Reset() {
	if b.inner != nil {
		b.inner.Reset()
	}
	b.records, b.producers = b.records[:0], b.producers[:0]
}

// put writes the values straight into the batch's buffer: one copy.
func (b *Batch) put(values ...[]byte) {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	op := b.open().SetDeferred(len(b.key), n)
	copy(op.Key, b.key)
	at := 0
	for _, v := range values {
		at += copy(op.Value[at:], v)
	}
	must(op.Finish())
}

func (b *Batch) delete() { must(b.open().Delete(b.key, nil)) }

// open returns a pebble batch of the current copy. One that belongs to a copy
// that has been replaced is thrown away when it is empty; otherwise Commit
// refuses it, because its changes were decided on other state.
func (b *Batch) open() *pebble.Batch {
	current := b.engine.current.Load()
	if b.inner == nil || b.home != current && b.inner.Empty() {
		if current == nil {
			panic(ErrClosed)
		}
		b.home, b.inner = current, current.db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchBytesKept))
	}
	return b.inner
}

// must holds what pebble documents: building a batch in memory has no error.
func must(err error) {
	if err != nil {
		panic(fmt.Errorf("build batch: %w", err))
	}
}

// Commit applies b and g in one step. Nothing is synced: the raft log is the
// write-ahead log. An error is fatal for the caller. b is left as it was; Reset
// it before reuse. Commits come from one goroutine.
func (e *Engine) Commit(b *Batch, g Globals) error {
	if e.current.Load() == nil {
		return ErrClosed
	}
	b.key = append(b.key[:0], prefixGlobals)
	b.end = g.appendTo(b.end[:0])
	b.put(b.end)
	if b.home != e.current.Load() {
		return fmt.Errorf("commit index %d: the batch was made for a copy that has been replaced", g.Applied)
	}
	if err := b.inner.Commit(pebble.NoSync); err != nil {
		return named(fmt.Sprintf("commit index %d", g.Applied), b.home.dir, err)
	}
	b.home.globals.Store(&g)
	return nil
}
