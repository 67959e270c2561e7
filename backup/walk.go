package backup

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"

	"mainstem/storage"
	"mainstem/stream"
)

// Walk hands out all pairs of the backup that come after a key, in the order of
// their keys: the records of the whole chain, as far as the backup holds them, and
// everything else of the backup. It fails where a record is missing. Records that
// were trimmed between others since the base may be among those handed out; nothing
// leads to them, and they go with their stream. The slices are
// valid during the call.
func (c *Chain) Walk(after []byte, emit func(key, value []byte) error) (err error) {
	sources, err := c.sources(after)
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.close())
		}
	}()
	if err != nil {
		return err
	}
	w := &walk{held: c.held(), emit: emit, id: c.Manifest().ID}
	defer func() { err = errors.Join(err, w.held.close()) }()
	if err := w.begin(after); err != nil {
		return err
	}
	for {
		s := least(sources)
		if s == nil {
			return w.end()
		}
		if err := w.pair(s); err != nil {
			return err
		}
		if err := s.next(); err != nil {
			return err
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
	}
}

// sources opens the records of each backup and the state of the last.
func (c *Chain) sources(after []byte) (sources []*pairObjects, err error) {
	add := func(m Manifest, kind Kind) {
		if err != nil {
			return
		}
		var s *pairObjects
		if s, err = c.newPairObjects(m, kind, after, nil); err == nil {
			sources = append(sources, s)
		}
	}
	for _, m := range c.backups {
		add(m, Records)
	}
	add(c.Manifest(), State)
	return sources, err
}

// least returns the source whose pair comes next, nil at the end of all.
func least(sources []*pairObjects) (min *pairObjects) {
	for _, s := range sources {
		if s.key != nil && (min == nil || bytes.Compare(s.key, min.key) < 0) {
			min = s
		}
	}
	return min
}

// walk checks that the records are those that the backup holds, without a gap.
type walk struct {
	id   string
	held *heldObjects
	emit func(key, value []byte) error

	next      storage.Held // the first of the table that is not behind; none at its end
	ended     bool
	resumed   storage.Held // up to where the records are not here to be checked
	isResumed bool

	gaps map[uint64][]stream.Range // between records, by incarnation, to be explained by the states that follow

	within bool   // the records of next come now
	pos    uint64 // where the next record begins
	last   uint64 // where the last one began
}

func (w *walk) begin(after []byte) error {
	if incarnation, pos, ok := storage.ParseRecordKey(after); ok {
		w.resumed, w.isResumed = storage.Held{Incarnation: incarnation, Last: pos}, true
	}
	if bytes.Compare(after, storage.RecordsEnd()) >= 0 {
		w.ended = true // nothing of the table will come
		return nil
	}
	return w.advance()
}

func (w *walk) advance() (err error) {
	w.next, err = w.held.next()
	if err == io.EOF {
		w.ended, err = true, nil
	}
	return err
}

func (w *walk) pair(s *pairObjects) error {
	incarnation, pos, isRecord := storage.ParseRecordKey(s.key)
	if !isRecord {
		if err := w.explain(s); err != nil {
			return err
		}
		return w.emit(s.key, s.value)
	}
	if err := w.reach(incarnation); err != nil {
		return err
	}
	h := w.next
	if w.ended || h.Incarnation != incarnation || pos < h.First || pos > h.Last {
		return nil // of a stream that was deleted or cut since
	}
	if !w.within {
		w.within, w.pos = true, h.First
		if w.isResumed && w.resumed.Incarnation == incarnation && w.resumed.Last >= h.First {
			w.pos = pos // the one before is not here to tell
		}
	}
	if pos != w.pos {
		if pos < w.pos || len(w.gaps) >= gapsMax {
			return w.missing(incarnation, stream.Range{From: w.pos, To: pos})
		}
		if w.gaps == nil {
			w.gaps = map[uint64][]stream.Range{}
		}
		w.gaps[incarnation] = append(w.gaps[incarnation], stream.Range{From: w.pos, To: pos})
	}
	r, err := stream.ParseRecord(pos, s.value)
	if err != nil {
		return damaged(s.m.ID, "the record of incarnation %d at %d: %v", incarnation, pos, err)
	}
	w.pos, w.last = r.End(), pos
	return w.emit(s.key, s.value)
}

// gapsMax bounds how many streams may have been trimmed beside what their forks
// inherit.
const gapsMax = 1 << 20

func (w *walk) missing(incarnation uint64, gap stream.Range) error {
	return damaged(w.id, "records of incarnation %d are missing from position %d to %d", incarnation, gap.From, gap.To)
}

// explain looks whether the gaps in a stream's records are there because it was
// trimmed: before its horizon, and beside what forks may inherit of it.
func (w *walk) explain(s *pairObjects) error {
	if _, ok := storage.ParseStreamKey(s.key); !ok || len(w.gaps) == 0 {
		return nil
	}
	state, err := stream.DecodeState(s.value)
	if err != nil {
		return damaged(s.m.ID, "the state of a stream: %v", err)
	}
	for _, gap := range w.gaps[state.Incarnation] {
		beside := gap.To <= state.Pinned.From || gap.From >= state.Pinned.To
		if !beside || gap.To > state.Horizon && !state.Deleted {
			return w.missing(state.Incarnation, gap)
		}
	}
	delete(w.gaps, state.Incarnation)
	return nil
}

// reach moves on in the table to an incarnation, or to the first after it. All of
// those before must have come.
func (w *walk) reach(incarnation uint64) error {
	for !w.ended && w.next.Incarnation < incarnation {
		if err := w.leave(); err != nil {
			return err
		}
		if err := w.advance(); err != nil {
			return err
		}
	}
	return nil
}

// leave is called after the last record of the incarnation that is next.
func (w *walk) leave() error {
	behind := w.isResumed && w.next.Incarnation <= w.resumed.Incarnation
	switch {
	case w.within && w.last != w.next.Last:
		return damaged(w.id, "the records of incarnation %d end at %d, and the last begins at %d", w.next.Incarnation, w.pos, w.next.Last)
	case !w.within && !behind:
		return damaged(w.id, "the records of incarnation %d are missing", w.next.Incarnation)
	}
	w.within = false
	return nil
}

// end is called after all pairs.
func (w *walk) end() error {
	for !w.ended {
		if err := w.leave(); err != nil {
			return err
		}
		if err := w.advance(); err != nil {
			return err
		}
	}
	for _, incarnation := range slices.Sorted(maps.Keys(w.gaps)) {
		return w.missing(incarnation, w.gaps[incarnation][0])
	}
	return nil
}
