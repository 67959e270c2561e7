package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errTruncated is what every decoder of this package returns for bytes that it
// did not write.
var errTruncated = errors.New("stream: truncated or malformed encoding")

// unknownVersion is for a version byte that this version does not know. Empty
// input has the byte 0, which no version is.
func unknownVersion(what string, v, known byte) error {
	if v == 0 {
		return errTruncated
	}
	return fmt.Errorf("%s of version %d is unknown to this version of mainstem, which reads version %d; start the version that wrote it, or upgrade this node", what, v, known)
}

// decoder reads the encodings of this package. After the first failure every
// read returns zero values; done tells. Byte slices point into the input.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) fail() { d.b, d.failed = nil, true }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count reads a length that counts things of at least one byte each.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.count()
	if d.failed {
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

// contentType is string without an allocation for the usual types.
func (d *decoder) contentType() ContentType {
	switch b := d.bytes(); string(b) {
	case "application/json":
		return "application/json"
	case string(DefaultContentType):
		return DefaultContentType
	case "text/plain":
		return "text/plain"
	default:
		return ContentType(b)
	}
}

// done returns an error unless all of the input was read, well-formed.
func (d *decoder) done() error {
	if d.failed || len(d.b) > 0 {
		return errTruncated
	}
	return nil
}

func appendBytes[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendOffset(b []byte, o Offset) []byte {
	b = binary.AppendUvarint(b, o.Incarnation)
	return binary.AppendUvarint(b, o.Pos)
}

func (d *decoder) offset() Offset { return Offset{Incarnation: d.uvarint(), Pos: d.uvarint()} }

func appendLifetime(b []byte, l Lifetime) []byte {
	b = append(b, byte(l.kind))
	switch l.kind {
	case lifetimeTTL:
		b = binary.AppendUvarint(b, l.ttl)
	case lifetimeExpiresAt:
		b = binary.AppendVarint(b, int64(l.at))
		b = appendBytes(b, l.text)
	}
	return b
}

func (d *decoder) lifetime() Lifetime {
	switch kind := lifetimeKind(d.byte()); kind {
	case lifetimeNone:
		return Lifetime{}
	case lifetimeTTL:
		return Lifetime{kind: kind, ttl: d.uvarint()}
	case lifetimeExpiresAt:
		return Lifetime{kind: kind, at: Time(d.varint()), text: d.string()}
	}
	d.fail()
	return Lifetime{}
}

func appendRetention(b []byte, r Retention) []byte {
	b = binary.AppendUvarint(b, r.Bytes)
	return binary.AppendUvarint(b, r.Age)
}

func (d *decoder) retention() Retention { return Retention{Bytes: d.uvarint(), Age: d.uvarint()} }

func appendPayload(b []byte, p Payload) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.Messages)))
	for _, n := range p.Messages {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return appendBytes(b, p.Data)
}

func (d *decoder) payload() Payload {
	var p Payload
	if n := d.count(); n > 0 {
		p.Messages = make([]uint32, n)
		for i := range p.Messages {
			p.Messages[i] = uint32(d.uvarint())
		}
	}
	p.Data = d.bytes()
	var sum uint64
	for _, n := range p.Messages {
		sum += uint64(n)
	}
	if p.Messages != nil && sum != uint64(len(p.Data)) {
		d.fail()
	}
	return p
}
