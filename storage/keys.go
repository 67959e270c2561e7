package storage

import (
	"encoding/binary"
	"fmt"

	"mainstem/stream"
)

// The key space of the copy. Append only, never change a prefix: checkpoints of
// an older version are read by a newer one.
//
//	d incarnation pos   a record: the bytes of one stream from pos on
//	g                   Globals
//	k number name       a stream that a subscription is linked to
//	l name 0 number     the link: its cursor
//	n session           a proposer's session
//	n session slot      the outcome of one of its batches, with the session as it left it
//	n session sequence  the outcome of one of its batches, for want of a slot
//	p incarnation id    a producer of an incarnation
//	s name              a stream, as of when more than its tail last changed
//	t time name         the retention index: when a stream is to be trimmed
//	u number            a subscription
//	w                   the signing keys of webhooks
//	x deadline name     the expiry index
//
// Numbers are big-endian, so that keys sort as their numbers do.
const (
	prefixData     = 'd'
	prefixGlobals  = 'g'
	prefixProducer = 'p'
	prefixSession  = 'n'
	prefixStream   = 's'
	prefixExpiry   = 'x'
	prefixTrim     = 't'

	prefixLinked       = 'k'
	prefixLink         = 'l'
	prefixSubscription = 'u'
	prefixSigning      = 'w'
)

const dataKeyLen = 1 + 8 + 8

func appendStreamKey[S ~string](b []byte, name S) []byte {
	return append(append(b, prefixStream), name...)
}

func appendProducerKey(b []byte, incarnation uint64, id string) []byte {
	b = appendIncarnation(b, prefixProducer, incarnation)
	return append(b, id...)
}

func appendIncarnation(b []byte, prefix byte, incarnation uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefix), incarnation)
}

func appendDataKey(b []byte, incarnation, pos uint64) []byte {
	b = appendIncarnation(b, prefixData, incarnation)
	return binary.BigEndian.AppendUint64(b, pos)
}

// appendTimeKey is for the indexes by time.
func appendTimeKey(b []byte, prefix byte, at stream.Time, name stream.Name) []byte {
	b = binary.BigEndian.AppendUint64(append(b, prefix), uint64(at))
	return append(b, name...)
}

func parseTimeKey(key []byte) (Due, error) {
	if len(key) < 9 {
		return Due{}, fmt.Errorf("%w: key %x of an index by time is too short", ErrCorrupt, key)
	}
	return Due{
		At:   stream.Time(binary.BigEndian.Uint64(key[1:])),
		Name: stream.Name(key[9:]),
	}, nil
}

// appendIncarnationEnd appends the first key after all keys of an incarnation.
func appendIncarnationEnd(b []byte, prefix byte, incarnation uint64) []byte {
	if incarnation == 1<<64-1 {
		return append(b, prefix+1)
	}
	return appendIncarnation(b, prefix, incarnation+1)
}
