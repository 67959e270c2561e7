package fsm

import (
	"errors"

	"mainstem/storage"
)

// mark commits up to an entry that holds a mark, and gives the copy as of then
// away: what comes behind the mark in the same batch must not be in it.
func (m *Machine) mark(index uint64) {
	marks := m.txn.marks
	if len(marks) == 0 {
		return
	}
	m.txn.marks = marks[:0]
	if m.marked == nil {
		return
	}
	m.commit()
	for _, mark := range marks {
		v, err := m.engine.View()
		if err != nil { // being closed
			m.log.Warn("a mark was not taken", "index", index, "err", err)
			return
		}
		m.marked(index, mark, v)
	}
}

// noticed passes an error of a read on, and tells of damage.
func (m *Machine) noticed(err error) error {
	if errors.Is(err, storage.ErrCorrupt) {
		m.damaged(err)
	}
	return err
}
