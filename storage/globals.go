package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"mainstem/stream"
)

// Globals is the replicated scalar state. It is written in the same batch as
// the data it covers, so a copy always knows how far it has come.
type Globals struct {
	Applied      uint64 // index of the last log entry in the copy
	Term         uint64 // its term
	Now          stream.Time
	Incarnations uint64 // the last one that was drawn
	Stored       uint64 // bytes of all streams
	// Tails says that the stored state of a stream may end before its records do. It
	// stays as it was for entries of versions that write a state with each append.
	Tails bool
	Slots bool // and that outcomes may lie in slots of their sessions
}

const (
	// globalsVersion is that of all that the copy holds: raise it when a key or a
	// value of it changes its meaning.
	globalsVersion = 4
	// What the versions before can read is written until there is anything else.
	globalsTails = 3 // without Slots
	globalsExact = 2 // without Tails
	globalsLen   = 1 + 5*8
)

func (g Globals) appendTo(b []byte) []byte {
	version := byte(globalsExact)
	switch {
	case g.Slots:
		version = globalsVersion
	case g.Tails:
		version = globalsTails
	}
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, g.Applied)
	b = binary.BigEndian.AppendUint64(b, g.Term)
	b = binary.BigEndian.AppendUint64(b, uint64(g.Now))
	b = binary.BigEndian.AppendUint64(b, g.Incarnations)
	return binary.BigEndian.AppendUint64(b, g.Stored)
}

// replicated is what is equal on all nodes that have applied the same commands.
func (g Globals) replicated() []byte {
	return Globals{Now: g.Now, Incarnations: g.Incarnations, Stored: g.Stored, Tails: g.Tails, Slots: g.Slots}.appendTo(nil)
}

func parseGlobals(b []byte) (Globals, error) {
	if len(b) > 0 && b[0] > globalsVersion {
		return Globals{}, fmt.Errorf("the copy has version %d and this version reads %d: %w; start the version that wrote it, or upgrade this node", b[0], globalsVersion, ErrNewerFormat)
	}
	if len(b) != globalsLen || b[0] < globalsExact {
		return Globals{}, fmt.Errorf("%w: globals of %d bytes", ErrCorrupt, len(b))
	}
	return Globals{
		Applied:      binary.BigEndian.Uint64(b[1:]),
		Term:         binary.BigEndian.Uint64(b[9:]),
		Now:          stream.Time(binary.BigEndian.Uint64(b[17:])),
		Incarnations: binary.BigEndian.Uint64(b[25:]),
		Stored:       binary.BigEndian.Uint64(b[33:]),
		Tails:        b[0] >= globalsTails,
		Slots:        b[0] > globalsTails,
	}, nil
}

// loadGlobals returns the zero Globals for an empty copy.
func loadGlobals(r pebble.Reader) (Globals, error) {
	v, closer, err := r.Get([]byte{prefixGlobals})
	if errors.Is(err, pebble.ErrNotFound) {
		return Globals{}, nil
	}
	if err != nil {
		return Globals{}, err
	}
	defer closer.Close()
	return parseGlobals(v)
}

// durableGlobals reads what would be found after a power cut.
func durableGlobals(db *pebble.DB) (g Globals, err error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound:                []byte{prefixGlobals},
		UpperBound:                []byte{prefixGlobals + 1},
		OnlyReadGuaranteedDurable: true,
	})
	if err != nil {
		return Globals{}, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.First() {
		return Globals{}, it.Error()
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return Globals{}, err
	}
	return parseGlobals(v)
}
