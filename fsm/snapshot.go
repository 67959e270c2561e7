package fsm

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"
)

// adopter is a snapshot sink that takes a directory of files made for it in
// place of bytes written to it.
type adopter interface {
	Adopt(make func(dir string) error) error
}

// checkpointed is a snapshot that lies unpacked in a directory of this node.
type checkpointed interface{ Checkpoint() (dir string) }

// Snapshot implements raft.FSM. It only promises: raft applies nothing while it
// runs, so the work is left to Persist.
func (m *Machine) Snapshot() (raft.FSMSnapshot, error) { return snapshot{m}, nil }

type snapshot struct{ machine *Machine }

// Persist makes a checkpoint of the copy. It may hold later entries than the
// snapshot's index: a replica skips what its copy already holds.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	a, ok := sink.(adopter)
	if !ok {
		return errors.Join(fmt.Errorf("fsm: snapshot sink %T takes no checkpoint", sink), sink.Cancel())
	}
	if term, index, ok := parseSnapshotID(sink.ID()); ok {
		s.machine.coverSnapshot(index, term)
	}
	if err := a.Adopt(s.machine.engine.Checkpoint); err != nil {
		return errors.Join(fmt.Errorf("fsm: checkpoint for snapshot %s: %w", sink.ID(), err), sink.Cancel())
	}
	return sink.Close()
}

func (s snapshot) Release() {}

// coverSnapshot records that the copy holds everything up to a snapshot's
// index. Raft gives Noop and Barrier entries no Apply, so the index of the last
// entry applied may stay below it for ever, and a start would restore for
// nothing.
func (m *Machine) coverSnapshot(index, term uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cover(index, term)
}

// parseSnapshotID reads term and index out of raft's name for a snapshot, of
// which they are the first two of three numbers.
func parseSnapshotID(id string) (term, index uint64, ok bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return 0, 0, false
	}
	term, err := strconv.ParseUint(parts[0], 10, 64)
	index, err2 := strconv.ParseUint(parts[1], 10, 64)
	return term, index, err == nil && err2 == nil
}

// Restore implements raft.FSM: the copy is replaced by the snapshot's.
func (m *Machine) Restore(source io.ReadCloser) (err error) {
	defer func() { err = errors.Join(err, source.Close()) }()
	inner := source
	if w, ok := inner.(raft.ReadCloserWrapper); ok {
		inner = w.WrappedReadCloser()
	}
	c, ok := inner.(checkpointed)
	if !ok {
		return fmt.Errorf("fsm: snapshot reader %T is not a checkpoint of this node", inner)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.engine.Replace(c.Checkpoint()); err != nil {
		return fmt.Errorf("fsm: replace the copy: %w", err)
	}
	txn, err := newTxn(m.engine, m.txn.states.max)
	if err != nil {
		return fmt.Errorf("fsm: %w", err)
	}
	m.txn = txn
	m.heads.forget()
	m.registry.load(txn.ledger)
	m.chunks.clear()
	m.applied.reach(m.txn.globals.Applied)
	return nil
}
