package stream

import (
	"encoding/binary"
	"fmt"
)

// bundleVersion is the first byte of an entry that holds several envelopes: those
// that waited at the leader together, each of a node and session of its own. It is
// no level that an envelope will ever have.
//
//	version 1 | n × { length 4 | envelope }
const bundleVersion = 0xb1

// Bundle makes one entry of envelopes. A single one is an entry by itself and is
// returned as it is; of several the bytes are copied.
func Bundle(envelopes [][]byte) []byte {
	if len(envelopes) == 1 {
		return envelopes[0]
	}
	n := 1
	for _, e := range envelopes {
		n += 4 + len(e)
	}
	entry := append(make([]byte, 0, n), bundleVersion)
	for _, e := range envelopes {
		entry = binary.BigEndian.AppendUint32(entry, uint32(len(e)))
		entry = append(entry, e...)
	}
	return entry
}

// Unbundle returns the envelopes of a bundle, for NextEnvelope; ok is false for
// an entry that is an envelope itself, or none.
func Unbundle(entry []byte) (envelopes []byte, ok bool) {
	if len(entry) == 0 || entry[0] != bundleVersion {
		return nil, false
	}
	return entry[1:], true
}

// NextEnvelope returns the first of envelopes, and the rest.
func NextEnvelope(envelopes []byte) (envelope, rest []byte, err error) {
	if len(envelopes) < 4 {
		return nil, nil, fmt.Errorf("bundle: %w", errTruncated)
	}
	n := binary.BigEndian.Uint32(envelopes)
	envelopes = envelopes[4:]
	if uint64(n) > uint64(len(envelopes)) {
		return nil, nil, fmt.Errorf("bundle: %w", errTruncated)
	}
	return envelopes[:n:n], envelopes[n:], nil
}
