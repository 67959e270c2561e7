package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// envelopeHeaderLen: level, shard, time, session, sequence, floor, limits.
const envelopeHeaderLen = 1 + 1 + 8 + 8 + 8 + 8 + 2*8

// Header is the fixed part of an envelope: one batch of commands on its
// way into the replicated log.
type Header struct {
	Level    byte   // that a node needs to understand all of it
	Shard    byte   // always 0 while there is one log
	At       Time   // stamped by the leader as it proposes
	Session  uint64 // of the node that made the batch; 0 for none
	Sequence uint64 // of the batch in its session
	Floor    uint64 // every lower sequence of the session has been answered
	Limits   Limits // set by the leader as it proposes
}

// NewEnvelope appends an empty envelope to b. Commands are added by
// AppendToEnvelope, the session is set by Address, the time by Stamp and the limits
// by Limit.
func NewEnvelope(b []byte) []byte {
	b = append(b, LevelOldest, 0)
	return append(b, make([]byte, envelopeHeaderLen-2)...)
}

// Address sets, in place, the session of the node that made the envelope, its
// place there, and the floor below which that node has all its answers.
func Address(envelope []byte, session, sequence, floor uint64) {
	binary.BigEndian.PutUint64(envelope[10:], session)
	binary.BigEndian.PutUint64(envelope[18:], sequence)
	binary.BigEndian.PutUint64(envelope[26:], floor)
}

// AppendToEnvelope adds a command to an envelope.
func AppendToEnvelope(envelope []byte, c Command) []byte {
	at := len(envelope)
	envelope = append(envelope, 0, 0, 0, 0)
	envelope = AppendCommand(envelope, c)
	RaiseLevel(envelope, LevelOf(c))
	binary.BigEndian.PutUint32(envelope[at:], uint32(len(envelope)-at-4))
	return envelope
}

// Stamp sets the time of an entry in place: of an envelope, or of each in a
// bundle.
func Stamp(entry []byte, at Time) error {
	return inEach(entry, func(envelope []byte) {
		binary.BigEndian.PutUint64(envelope[2:], uint64(at))
	})
}

// Limit sets the limits of an entry in place, as Stamp its time.
func Limit(entry []byte, l Limits) error {
	return inEach(entry, func(envelope []byte) {
		binary.BigEndian.PutUint64(envelope[34:], l.StreamBytes)
		binary.BigEndian.PutUint64(envelope[42:], l.TotalBytes)
	})
}

// inEach calls set with the envelope that an entry is, or with each of a bundle.
func inEach(entry []byte, set func(envelope []byte)) error {
	rest, several := Unbundle(entry)
	if !several {
		return inOne(entry, set)
	}
	for len(rest) > 0 {
		envelope, after, err := NextEnvelope(rest)
		if err != nil {
			return err
		}
		if err := inOne(envelope, set); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

func inOne(envelope []byte, set func([]byte)) error {
	if len(envelope) < envelopeHeaderLen || unknownLevel(envelope[0]) {
		return fmt.Errorf("stamp envelope: %w", errTruncated)
	}
	set(envelope)
	return nil
}

// ParseHeader reads the fixed part of an envelope and returns what follows,
// for NextCommand.
func ParseHeader(envelope []byte) (h Header, commands []byte, err error) {
	if len(envelope) < envelopeHeaderLen {
		return Header{}, nil, fmt.Errorf("envelope: %w", errTruncated)
	}
	if unknownLevel(envelope[0]) {
		return Header{}, nil, fmt.Errorf("an envelope of level %d is unknown to this version of mainstem, which reads levels %d to %d; start the version that wrote it, or upgrade this node", envelope[0], LevelOldest, Level)
	}
	h = Header{
		Level:    envelope[0],
		Shard:    envelope[1],
		At:       Time(binary.BigEndian.Uint64(envelope[2:])),
		Session:  binary.BigEndian.Uint64(envelope[10:]),
		Sequence: binary.BigEndian.Uint64(envelope[18:]),
		Floor:    binary.BigEndian.Uint64(envelope[26:]),
		Limits:   Limits{binary.BigEndian.Uint64(envelope[34:]), binary.BigEndian.Uint64(envelope[42:])},
	}
	return h, envelope[envelopeHeaderLen:], nil
}

func unknownLevel(l byte) bool { return l < LevelOldest || l > Level }

// EnvelopeGrows reports that an envelope holds a command that Grows. One that
// cannot be read counts as such.
func EnvelopeGrows(envelope []byte) bool {
	_, commands, err := ParseHeader(envelope)
	if err != nil {
		return true
	}
	for len(commands) > 0 {
		if len(commands) < 5 {
			return true
		}
		n := uint64(binary.BigEndian.Uint32(commands))
		if n == 0 || n > uint64(len(commands)-4) || kind(commands[4]).grows() {
			return true
		}
		commands = commands[4+n:]
	}
	return false
}

// WithoutGrowth returns an envelope without the commands that Grow, and where
// each command has its place in that: -1 for none. The envelope must be one that
// AppendToEnvelope made; it stays as it is.
func WithoutGrowth(envelope []byte) (small []byte, places []int) {
	return without(envelope, func(command []byte) bool { return kind(command[0]).grows() })
}

// WithoutAbove is WithoutGrowth for the commands that need more than a level.
func WithoutAbove(envelope []byte, level byte) (small []byte, places []int) {
	small, places = without(envelope, func(command []byte) bool {
		c, err := DecodeCommand(command)
		return err != nil || LevelOf(c) > level
	})
	small[0] = min(small[0], max(level, LevelOldest))
	return small, places
}

func without(envelope []byte, drop func(command []byte) bool) (small []byte, places []int) {
	small = bytes.Clone(envelope[:envelopeHeaderLen])
	kept := 0
	for at := envelopeHeaderLen; at < len(envelope); {
		end := at + 4 + int(binary.BigEndian.Uint32(envelope[at:]))
		if drop(envelope[at+4 : end]) {
			places = append(places, -1)
		} else {
			small = append(small, envelope[at:end]...)
			places = append(places, kept)
			kept++
		}
		at = end
	}
	return small, places
}

// CountCommands is how many commands there are, by their lengths alone: 0 when
// those are malformed, which NextCommand will say.
func CountCommands(commands []byte) (n int) {
	for ; len(commands) >= 4; n++ {
		size := uint64(binary.BigEndian.Uint32(commands)) + 4
		if size > uint64(len(commands)) {
			return 0
		}
		commands = commands[size:]
	}
	return n
}

// CommandsOf is how many commands an envelope holds, 0 for one that is malformed.
func CommandsOf(envelope []byte) int {
	return CountCommands(envelope[min(len(envelope), envelopeHeaderLen):])
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
