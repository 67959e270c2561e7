package subs

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"mainstem/stream"
)

// version is the first byte of all that this package encodes but links.
const version = 1

var errMalformed = errors.New("subs: malformed encoding")

// Wrap makes a command one that a stream envelope carries.
func Wrap(c Command) stream.Control { return stream.Control{Body: AppendCommand(nil, c)} }

// Read takes apart the result of a wrapped command. The error says that it was
// not decided by these rules: a rejection of the log's, or a later version.
func Read(r stream.Result) (Outcome, *Refusal, error) {
	if r.Rejection != nil {
		return Outcome{}, nil, r.Rejection
	}
	result, err := DecodeResult(r.Outcome.Answer)
	return result.Outcome, result.Refusal, err
}

// AppendCommand appends the one wire form of c to b.
func AppendCommand(b []byte, c Command) []byte {
	return appendJSON(append(b, version, byte(c.kind())), c)
}

// DecodeCommand is the inverse of AppendCommand. It keeps nothing of b.
func DecodeCommand(b []byte) (Command, error) {
	if len(b) < 2 {
		return nil, errMalformed
	}
	if b[0] != version {
		return nil, unknownVersion(b[0])
	}
	switch body := b[2:]; commandKind(b[1]) {
	case kindCreate:
		return decode[Create](body)
	case kindDelete:
		return decode[Delete](body)
	case kindAddStreams:
		return decode[AddStreams](body)
	case kindRemoveStream:
		return decode[RemoveStream](body)
	case kindClaim:
		return decode[Claim](body)
	case kindAck:
		return decode[Ack](body)
	case kindRelease:
		return decode[Release](body)
	case kindWake:
		return decode[Wake](body)
	case kindAttempt:
		return decode[Attempt](body)
	case kindDelivered:
		return decode[Delivered](body)
	case kindDeliveryFailed:
		return decode[DeliveryFailed](body)
	case kindLapse:
		return decode[Lapse](body)
	case kindStep:
		return decode[Step](body)
	case kindPutKey:
		return decode[PutKey](body)
	}
	return nil, fmt.Errorf("subs: command kind %d is unknown to this version of mainstem; start the version that wrote it, or upgrade this node", b[1])
}

func unknownVersion(v byte) error {
	return fmt.Errorf("subs: version %d is unknown to this version of mainstem, which reads version %d; upgrade this node", v, version)
}

func decode[T Command](b []byte) (Command, error) {
	c, err := decodeJSON[T](b)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// decodeJSON refuses members that it does not know: they are of a later version,
// and to pass over them would be to decide otherwise than others do.
func decodeJSON[T any](b []byte) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return v, errMalformed
	}
	return v, nil
}

func appendJSON(b []byte, v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil { // structures of strings and numbers always encode
		panic(fmt.Sprintf("subs: encode %T: %v", v, err))
	}
	return append(b, encoded...)
}

// AppendResult appends the stored and wire form of r to b.
func AppendResult(b []byte, r Result) []byte { return appendJSON(append(b, version), r) }

// DecodeResult is the inverse of AppendResult.
func DecodeResult(b []byte) (Result, error) { return decodeVersioned[Result](b) }

// AppendSubscription appends the stored form of s to b.
func AppendSubscription(b []byte, s *Subscription) []byte {
	return appendJSON(append(b, version), s)
}

// DecodeSubscription is the inverse of AppendSubscription.
func DecodeSubscription(b []byte) (*Subscription, error) {
	s, err := decodeVersioned[Subscription](b)
	return &s, err
}

// AppendKeys appends the stored form of keys to b.
func AppendKeys(b []byte, keys []Key) []byte { return appendJSON(append(b, version), keys) }

// DecodeKeys is the inverse of AppendKeys.
func DecodeKeys(b []byte) ([]Key, error) { return decodeVersioned[[]Key](b) }

func decodeVersioned[T any](b []byte) (v T, err error) {
	if len(b) == 0 {
		return v, errMalformed
	}
	if b[0] != version {
		return v, unknownVersion(b[0])
	}
	return decodeJSON[T](b[1:])
}

// linkVersion is the first byte of a stored link. Links are many and change
// often, so they are not JSON.
const linkVersion = 1

const linkExplicit = 1

// AppendLink appends the stored form of l to b.
func AppendLink(b []byte, l Link) []byte {
	var flags byte
	if l.Explicit {
		flags |= linkExplicit
	}
	b = append(b, linkVersion, flags)
	b = binary.AppendUvarint(b, l.Acked.Incarnation)
	return binary.AppendUvarint(b, l.Acked.Pos)
}

// DecodeLink is the inverse of AppendLink.
func DecodeLink(b []byte) (Link, error) {
	if len(b) < 2 || b[0] != linkVersion || b[1]&^linkExplicit != 0 {
		return Link{}, errMalformed
	}
	l := Link{Explicit: b[1] == linkExplicit}
	rest := b[2:]
	for _, field := range []*uint64{&l.Acked.Incarnation, &l.Acked.Pos} {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			return Link{}, errMalformed
		}
		*field, rest = n, rest[size:]
	}
	if len(rest) > 0 {
		return Link{}, errMalformed
	}
	return l, nil
}
