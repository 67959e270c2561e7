package stream

import (
	"encoding/binary"
	"fmt"
)

// EnvelopeVersion is the first byte of every entry that this version proposes.
const EnvelopeVersion = 1

// envelopeHeaderLen: version, shard, time, session, sequence.
const envelopeHeaderLen = 1 + 1 + 8 + 8 + 8

// Header is the fixed part of an envelope: one batch of commands in one entry
// of the replicated log.
type Header struct {
	Version  byte
	Shard    byte   // always 0 while there is one log
	At       Time   // stamped by the leader as it proposes
	Session  uint64 // of the node that made the batch; 0 for none
	Sequence uint64 // of the batch in its session
}

// NewEnvelope appends an empty envelope of a session to b. Its time is set by
// Stamp, commands are added by AppendToEnvelope.
func NewEnvelope(b []byte, session, sequence uint64) []byte {
	b = append(b, EnvelopeVersion, 0)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, session)
	return binary.BigEndian.AppendUint64(b, sequence)
}

// AppendToEnvelope adds a command to an envelope.
func AppendToEnvelope(envelope []byte, c Command) []byte {
	at := len(envelope)
	envelope = append(envelope, 0, 0, 0, 0)
	envelope = AppendCommand(envelope, c)
	binary.BigEndian.PutUint32(envelope[at:], uint32(len(envelope)-at-4))
	return envelope
}

// Stamp sets the time of an envelope in place.
func Stamp(envelope []byte, at Time) error {
	if len(envelope) < envelopeHeaderLen || envelope[0] != EnvelopeVersion {
		return fmt.Errorf("stamp envelope: %w", errTruncated)
	}
	binary.BigEndian.PutUint64(envelope[2:], uint64(at))
	return nil
}

// ParseHeader reads the fixed part of an envelope and returns what follows,
// for NextCommand.
func ParseHeader(envelope []byte) (h Header, commands []byte, err error) {
	if len(envelope) < envelopeHeaderLen {
		return Header{}, nil, fmt.Errorf("envelope: %w", errTruncated)
	}
	if envelope[0] != EnvelopeVersion {
		return Header{}, nil, fmt.Errorf("envelope version %d is unknown to this version of mainstem, which reads version %d; upgrade this node", envelope[0], EnvelopeVersion)
	}
	h = Header{
		Version:  envelope[0],
		Shard:    envelope[1],
		At:       Time(binary.BigEndian.Uint64(envelope[2:])),
		Session:  binary.BigEndian.Uint64(envelope[10:]),
		Sequence: binary.BigEndian.Uint64(envelope[18:]),
	}
	return h, envelope[envelopeHeaderLen:], nil
}

// NextCommand decodes the first of commands and returns the rest. Payloads
// point into commands.
func NextCommand(commands []byte) (c Command, rest []byte, err error) {
	if len(commands) < 4 {
		return nil, nil, errTruncated
	}
	n := binary.BigEndian.Uint32(commands)
	commands = commands[4:]
	if uint64(n) > uint64(len(commands)) {
		return nil, nil, errTruncated
	}
	c, err = DecodeCommand(commands[:n:n])
	return c, commands[n:], err
}
