package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

const (
	sessionKeyLen = 1 + 8
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

// EachSession visits every session, each followed by its outcomes in order of
// their sequences. encoded is valid during the call only.
func (e *Engine) EachSession(session func(id uint64, encoded []byte) error, outcome func(id, sequence uint64, encoded []byte) error) error {
	err := e.scan([]byte{prefixSession}, []byte{prefixSession + 1}, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			switch key := it.Key(); len(key) {
			case sessionKeyLen:
				err = session(binary.BigEndian.Uint64(key[1:]), v)
			case outcomeKeyLen:
				err = outcome(binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[sessionKeyLen:]), v)
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
