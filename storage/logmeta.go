package storage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

const logMetaFile = "log.json"

// logMeta is the small file beside the entries: which kind of log this is, what
// marks its records, how far it is known to reach, and raft-wal's segments.
// raft-wal's own store for these is bolt, without a checksum, and stays open
// after Close; this one is replaced in one step and sealed.
type logMeta struct {
	fs   vfs.FS
	path string

	sealed func(name string) // told of each segment that takes no more entries; may be nil

	mu     sync.Mutex // guards what follows
	state  logState
	format int  // of the file, and of the records that may lie beside it
	renew  bool // the next entry that is stored sets the floor
}

type logState struct {
	Kind string `json:"kind"`
	ID   string `json:"id"` // hexadecimal recordID
	// Floor is an index that was acknowledged: a log that ends below it has lost
	// entries. 0 is always true. It is set by the first entry of each segment and
	// at Close, lowered before entries above it are deleted.
	Floor uint64 `json:"floor"`
	// Start is an index from which on nothing was deleted: a log that begins
	// above it has lost entries. 0 says nothing.
	Start uint64                `json:"start"`
	WAL   types.PersistentState `json:"wal"`
}

// openLogMeta reads the file, or begins a log in a directory that has none.
func openLogMeta(fs vfs.FS, dir, kind string) (*logMeta, error) {
	m := &logMeta{fs: fs, path: fs.PathJoin(dir, logMetaFile), format: recordVersionPlain, renew: true}
	format, err := readSealedUpTo(fs, m.path, recordVersion, &m.state)
	switch {
	case oserror.IsNotExist(err):
		return m, m.create(dir, kind)
	case err != nil:
		return nil, err
	case m.state.Kind != kind:
		return nil, fmt.Errorf("the raft log in %s is of kind %q and %q was asked for; set raft.log_store to %s, or empty this node's data directory and let it be refilled", dir, m.state.Kind, kind, m.state.Kind)
	}
	if b, err := hex.DecodeString(m.state.ID); err != nil || len(b) != recordIDLen {
		return nil, corrupt(m.path, "its id is %q", m.state.ID)
	}
	m.format = max(format, recordVersionPlain)
	return m, nil
}

func (m *logMeta) create(dir, kind string) error {
	names, err := m.fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if isLogFile(name) {
			return corrupt(m.path, "it is missing beside %s", name)
		}
	}
	var id recordID
	rand.Read(id[:]) // never fails
	m.state = logState{Kind: kind, ID: hex.EncodeToString(id[:])}
	return writeSealedAs(m.fs, m.path, m.format, m.state)
}

// isLogFile tells the files that hold entries.
func isLogFile(name string) bool {
	return name == boltLogFile || strings.HasSuffix(name, segmentSuffix)
}

func (m *logMeta) id() (id recordID) {
	hex.Decode(id[:], []byte(m.state.ID)) // checked when it was read
	return id
}

// raise is called before entries are stored of which some may be packed: the
// version before must be told that it cannot read them.
func (m *logMeta) raise(entries []*raft.Log) error {
	m.mu.Lock()
	due := m.format < recordVersion && slices.ContainsFunc(entries, mayPack)
	if due {
		m.format = recordVersion
	}
	m.mu.Unlock()
	if !due {
		return nil
	}
	return m.change(func(*logState) {})
}

// change writes the state as fn leaves it.
func (m *logMeta) change(fn func(*logState)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state
	fn(&next)
	if err := writeSealedAs(m.fs, m.path, m.format, next); err != nil {
		return fmt.Errorf("write %s: %w", m.path, err)
	}
	m.state = next
	return nil
}

// stored notes that entries from first to last are durable.
func (m *logMeta) stored(first, last uint64) error {
	m.mu.Lock()
	due := m.renew || m.inNewSegment(last)
	m.renew = false
	m.mu.Unlock()
	if !due {
		return nil
	}
	return m.change(func(s *logState) {
		s.Floor = last
		if s.Start == 0 {
			s.Start = first
		}
	})
}

// inNewSegment reports an entry in a segment of which the floor knows nothing:
// were its file lost, raft-wal would make it anew. The caller holds mu.
func (m *logMeta) inNewSegment(index uint64) bool {
	n := len(m.state.WAL.Segments)
	if n == 0 {
		return false
	}
	base := m.state.WAL.Segments[n-1].BaseIndex
	return m.state.Floor < base && base <= index
}

// reached notes where the log ends at a shutdown.
func (m *logMeta) reached(last uint64) error {
	return m.change(func(s *logState) { s.Floor = last })
}

// deleting notes, before it is done, that of the entries from first to last
// those from min to max will go.
func (m *logMeta) deleting(min, max, first, last uint64) error {
	s := m.known()
	switch {
	case min <= first && max >= last:
		s.Start, s.Floor = 0, 0
	case min <= first:
		s.Start = max + 1
	default:
		s.Floor = 0
	}
	m.mu.Lock()
	m.renew = m.renew || s.Floor == 0
	m.mu.Unlock()
	if s == m.known() {
		return nil
	}
	return m.change(func(state *logState) { state.Start, state.Floor = s.Start, s.Floor })
}

// reach is what is known of the first and last index.
type reach struct{ Start, Floor uint64 }

func (m *logMeta) known() reach {
	m.mu.Lock()
	defer m.mu.Unlock()
	return reach{m.state.Start, m.state.Floor}
}

// Load and the rest make logMeta the meta store of raft-wal.
func (m *logMeta) Load(string) (types.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.WAL, nil
}

// CommitState is called before the segment files change.
func (m *logMeta) CommitState(s types.PersistentState) error {
	s.Segments = slices.Clone(s.Segments)
	for i := range s.Segments {
		s.Segments[i] = withCodec(s.Segments[i])
	}
	if err := m.change(func(state *logState) { state.WAL = s }); err != nil {
		return err
	}
	for _, info := range s.Segments {
		if !info.SealTime.IsZero() && m.sealed != nil {
			m.sealed(segment.FileName(info))
		}
	}
	return nil
}

var errNoStable = errors.New("the raft log keeps no stable values")

func (m *logMeta) GetStable([]byte) ([]byte, error) { return nil, errNoStable }
func (m *logMeta) SetStable(_, _ []byte) error      { return errNoStable }
func (m *logMeta) Close() error                     { return nil }
