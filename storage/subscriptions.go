package storage

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mainstem/stream"
)

// PutSubscription sets the encoded state of a subscription.
func (b *Batch) PutSubscription(number uint64, encoded []byte) {
	b.key = appendIncarnation(b.key[:0], prefixSubscription, number)
	b.put(encoded)
}

// DeleteSubscription removes a subscription, whose links are gone.
func (b *Batch) DeleteSubscription(number uint64) {
	b.key = appendIncarnation(b.key[:0], prefixSubscription, number)
	b.delete()
}

// PutLink sets the encoded cursor of a subscription on a stream. fresh says that
// there was none.
func (b *Batch) PutLink(name stream.Name, number uint64, encoded []byte, fresh bool) {
	b.key = appendLinkKey(b.key[:0], name, number)
	b.put(encoded)
	if fresh {
		b.key = appendLinkedKey(b.key[:0], number, name)
		b.put()
	}
}

// DeleteLink removes such a cursor.
func (b *Batch) DeleteLink(name stream.Name, number uint64) {
	b.key = appendLinkKey(b.key[:0], name, number)
	b.delete()
	b.key = appendLinkedKey(b.key[:0], number, name)
	b.delete()
}

// PutSigningKeys sets the encoded signing keys.
func (b *Batch) PutSigningKeys(encoded []byte) {
	b.key = append(b.key[:0], prefixSigning)
	b.put(encoded)
}

// A name holds no zero byte, so that its links are apart from those of longer
// names.
func appendLinkPrefix(b []byte, name stream.Name) []byte {
	return append(append(append(b, prefixLink), name...), 0)
}

func appendLinkKey(b []byte, name stream.Name, number uint64) []byte {
	return binary.BigEndian.AppendUint64(appendLinkPrefix(b, name), number)
}

func appendLinkedKey(b []byte, number uint64, name stream.Name) []byte {
	return append(appendIncarnation(b, prefixLinked, number), name...)
}

// EachSubscription visits all subscriptions in order of their numbers. encoded
// is valid during the call only.
func (e *Engine) EachSubscription(fn func(number uint64, encoded []byte) error) error {
	err := e.scan([]byte{prefixSubscription}, []byte{prefixSubscription + 1}, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			if key := it.Key(); len(key) != 9 {
				return fmt.Errorf("%w: subscription key %x has the wrong length", ErrCorrupt, key)
			}
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			if err := fn(binary.BigEndian.Uint64(it.Key()[1:]), v); err != nil {
				return err
			}
		}
		return nil
	})
	return named("read subscriptions", e.cfg.Dir, err)
}

// LinksOf visits the links of a stream in order of their subscriptions' numbers.
// encoded is valid during the call only.
func (e *Engine) LinksOf(name stream.Name, fn func(number uint64, encoded []byte) error) error {
	lower := appendLinkPrefix(nil, name)
	upper := append(append(append([]byte{}, prefixLink), name...), 1)
	err := e.scan(lower, upper, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			key := it.Key()
			if len(key) != len(lower)+8 {
				return fmt.Errorf("%w: link key %x has the wrong length", ErrCorrupt, key)
			}
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			if err := fn(binary.BigEndian.Uint64(key[len(lower):]), v); err != nil {
				return err
			}
		}
		return nil
	})
	return named("read links of "+string(name), e.cfg.Dir, err)
}

// Link returns the encoded cursor of a subscription on a stream.
func (e *Engine) Link(name stream.Name, number uint64) (encoded []byte, ok bool, err error) {
	encoded, ok, err = e.get(appendLinkKey(nil, name, number))
	return encoded, ok, named("read a link of "+string(name), e.cfg.Dir, err)
}

// Linked visits the streams that a subscription is linked to, in order, after a
// name, until fn returns false.
func (e *Engine) Linked(number uint64, after stream.Name, fn func(name stream.Name) bool) error {
	lower := appendIncarnation(nil, prefixLinked, number)
	upper := appendIncarnationEnd(nil, prefixLinked, number)
	if after != "" {
		lower = append(append(lower, after...), 0)
	}
	err := e.scan(lower, upper, func(it *pebble.Iterator) error {
		for ok := it.First(); ok; ok = it.Next() {
			if !fn(stream.Name(it.Key()[9:])) {
				return nil
			}
		}
		return nil
	})
	return named("list the streams of a subscription", e.cfg.Dir, err)
}

// SigningKeys returns the encoded signing keys.
func (e *Engine) SigningKeys() (encoded []byte, ok bool, err error) {
	encoded, ok, err = e.get([]byte{prefixSigning})
	return encoded, ok, named("read signing keys", e.cfg.Dir, err)
}
