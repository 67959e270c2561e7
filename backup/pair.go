package backup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// pairPartMax bounds a key or a value: above what an entry of the log can hold.
const pairPartMax = 128 << 20

var errPair = errors.New("a pair is malformed")

// appendPair appends a pair: the length of the key, the key, the length of the
// value, the value.
func appendPair(b, key, value []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// pairReader reads what appendPair wrote.
type pairReader struct {
	r          *bufio.Reader
	key, value []byte
}

// next returns io.EOF after the last pair. The slices are valid until the next
// call.
func (p *pairReader) next() (key, value []byte, err error) {
	if _, err := p.r.Peek(1); err != nil {
		return nil, nil, err
	}
	if p.key, err = p.part(p.key); err != nil {
		return nil, nil, err
	}
	if p.value, err = p.part(p.value); err != nil {
		return nil, nil, err
	}
	return p.key, p.value, nil
}

func (p *pairReader) part(into []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(p.r)
	switch {
	case err == io.EOF:
		return nil, fmt.Errorf("%w: it is cut", errPair)
	case err != nil:
		return nil, err
	case n > pairPartMax:
		return nil, fmt.Errorf("%w: a part of %d bytes", errPair, n)
	}
	if uint64(cap(into)) < n {
		into = make([]byte, n)
	}
	into = into[:n]
	if _, err := io.ReadFull(p.r, into); err != nil {
		return nil, fmt.Errorf("%w: %w", errPair, err)
	}
	return into, nil
}
