package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

const (
	sessionKeyLen = 1 + 8
	slotKeyLen    = sessionKeyLen + 1
	outcomeKeyLen = sessionKeyLen + 8
)

// PutSession sets the encoded state of a proposer's session.
func (b *Batch) PutSession(id uint64, encoded []byte) {
	b.key = appendIncarnation(b.key[:0], prefixSession, id)
	b.put(encoded)
}

// DropSession removes a session and its outcomes.
func (b *Batch) DropSession(id uint64) {
	b.key = appendIncarnation(b.key[:0], prefixSession, id)
	b.end = appendIncarnationEnd(b.end[:0], prefixSession, id)
	must(b.open().DeleteRange(b.key, b.end, nil))
}

// PutSlot sets one of a few places of a session, each for an outcome and the session
// as it left it.
func (b *Batch) PutSlot(id uint64, slot byte, encoded []byte) {
	b.key = append(appendIncarnation(b.key[:0], prefixSession, id), slot)
	b.put(encoded)
}

// PutOutcome sets the encoded results of one batch of a session.
func (b *Batch) PutOutcome(id, sequence uint64, encoded []byte) {
	b.key = appendOutcomeKey(b.key[:0], id, sequence)
	b.put(encoded)
}

// DeleteOutcome removes the results of one batch of a session.
func (b *Batch) DeleteOutcome(id, sequence uint64) {
	b.key = appendOutcomeKey(b.key[:0], id, sequence)
	b.delete()
}

func appendOutcomeKey(b []byte, id, sequence uint64) []byte {
	b = appendIncarnation(b, prefixSession, id)
	return binary.BigEndian.AppendUint64(b, sequence)
}

// Sessions takes what EachSession finds. encoded is valid during the call only.
type Sessions interface {
	Session(id uint64, encoded []byte) error
	Slot(id uint64, encoded []byte) error
	Outcome(id, sequence uint64, encoded []byte) error
}

// EachSession visits every session, each followed by its slots and its outcomes.
func (e *Engine) EachSession(to Sessions) error {
	err := e.scan([]byte{prefixSession}, []byte{prefixSession + 1}, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			switch key := it.Key(); len(key) {
			case sessionKeyLen:
				err = to.Session(binary.BigEndian.Uint64(key[1:]), v)
			case slotKeyLen:
				err = to.Slot(binary.BigEndian.Uint64(key[1:]), v)
			case outcomeKeyLen:
				err = to.Outcome(binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[sessionKeyLen:]), v)
			default:
				err = fmt.Errorf("%w: session key %x has the wrong length", ErrCorrupt, key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return named("read sessions", e.cfg.Dir, err)
}
