package fsm

import (
	"fmt"
	"slices"

	"mainstem/storage"
	"mainstem/stream"
	"mainstem/subs"
)

// txn collects the changes of log entries until they are committed together,
// and is the View through which the rules see them. Only raft's goroutine uses
// it.
//
// Records are completed at the end of each entry, not of each commit: how
// entries fall into commits differs between replicas, and their copies must
// not. For the same reason it is an entry that decides whether a state is written.
type txn struct {
	engine  *storage.Engine
	batch   *storage.Batch
	globals storage.Globals
	limits  stream.Limits // of the current envelope

	sessions  *sessions
	states    *states
	ledger    *ledger
	dirty     []*state // in order of first change
	noted     []*state // of the current entry, in order of first change
	tails     bool     // of the current envelope: records tell the tails of streams
	producers map[producerKey]stream.ProducerState

	runs   []run          // writes of the current entry
	runOf  map[uint64]int // by incarnation, when they are many
	done   []run          // of the entries before it in this commit
	spare  [][]stream.StoredAppend
	marks  []stream.Mark // of the current entry
	change stream.Change
	before []before // of the streams in change, while subscriptions look
	buf    []byte
	pieces [][]byte
}

const (
	// runsSearched is how many runs are looked through one by one.
	runsSearched = 8
	// A run's list of appends is used again by later runs: up to sparesMax lists of
	// up to spareCap appends.
	sparesMax = 4096
	spareCap  = 64
)

type producerKey struct {
	incarnation uint64
	id          string
}

// run is what the current entry adds to one incarnation.
type run struct {
	incarnation, start uint64
	appends            []stream.StoredAppend
}

func (r *run) bytes() (n int) {
	for _, a := range r.appends {
		n += len(a.Data)
	}
	return n
}

func newTxn(engine *storage.Engine, cachedStreams int) (*txn, error) {
	sessions, err := loadSessions(engine)
	if err != nil {
		return nil, fmt.Errorf("load sessions: %w", err)
	}
	t := &txn{
		engine:    engine,
		batch:     engine.NewBatch(),
		globals:   engine.Globals(),
		sessions:  sessions,
		states:    newStates(engine, cachedStreams),
		producers: map[producerKey]stream.ProducerState{},
		runOf:     map[uint64]int{},
	}
	if t.ledger, err = loadLedger(t); err != nil {
		return nil, fmt.Errorf("load subscriptions: %w", err)
	}
	return t, nil
}

// begin starts an envelope.
func (t *txn) begin(h stream.Header) {
	t.globals.Now, t.limits = max(t.globals.Now, h.At), h.Limits
	t.tails = h.Level >= stream.LevelTails
	t.globals.Tails = t.globals.Tails || t.tails
	t.globals.Slots = t.globals.Slots || h.Level >= stream.LevelSlots
}

// judge gives c to the rules that know it.
func (t *txn) judge(c stream.Command) (stream.Result, error) {
	if c, ok := c.(stream.Control); ok {
		return t.ledger.decide(c.Body)
	}
	return t.decide(c), nil
}

// decide lets the rules of streams judge c and keeps what they decide.
func (t *txn) decide(c stream.Command) stream.Result {
	t.change.Reset()
	result := stream.Decide(t, t.globals.Now, c, &t.change)
	if t.change.Drawn != 0 {
		t.globals.Incarnations = t.change.Drawn
	}
	if t.change.Opened {
		t.sessions.open(t.change.Drawn, t.globals.Now, t.batch)
	}
	if mark, ok := c.(stream.Mark); ok {
		t.marks = append(t.marks, mark)
	}
	t.before = t.before[:0]
	for i := range t.change.Streams {
		s, was := t.putStream(&t.change.Streams[i])
		t.globals.Stored += s.current.Stored() - was.Stored()
		t.before = append(t.before, before{s, was})
	}
	for _, p := range t.change.Producers {
		t.producers[producerKey{p.Incarnation, p.ID}] = p.State
	}
	for _, w := range t.change.Writes {
		t.write(w)
	}
	for _, f := range t.change.Freed {
		if err := t.batch.FreeRecords(f.Incarnation, f.From, f.To); err != nil {
			panic(fmt.Sprintf("fsm: %v", err))
		}
	}
	for _, incarnation := range t.change.Dropped {
		t.drop(incarnation)
	}
	if len(t.ledger.byID) > 0 {
		t.showSubscriptions(c)
	}
	return result
}

// showSubscriptions tells them what has become of the streams in change.
func (t *txn) showSubscriptions(c stream.Command) {
	name, at, appended := appendedAt(c, &t.change)
	for i := range t.change.Streams {
		to := &t.change.Streams[i]
		seen := subs.Seen{Name: to.Name, Before: t.before[i].was, Appended: appended && to.Name == name, At: at}
		if !to.Gone {
			seen.After = &to.State
		}
		// The common case first: nobody follows it, and no pattern is new to it.
		if !seen.Ended() && t.before[i].at.links.idle(t.ledger.epoch) || !seen.Matters() {
			continue
		}
		t.ledger.observe(seen)
	}
}

// appendedAt returns where the data that a command brought begins. What a fork
// takes of its source's next append is none.
func appendedAt(c stream.Command, change *stream.Change) (name stream.Name, at uint64, ok bool) {
	n := len(change.Writes)
	switch c := c.(type) {
	case stream.Append:
		name = c.Name
	case stream.Create:
		name = c.Name
		if c.Fork != nil && c.Fork.SubOffset > 0 && n > 0 {
			n--
		}
	}
	if n == 0 {
		return name, 0, false
	}
	return name, change.Writes[len(change.Writes)-1].Pos, true
}

// before is a stream of the cache, and what it was.
type before struct {
	at  *state
	was *stream.State
}

// putStream returns what was before.
func (t *txn) putStream(c *stream.StreamChange) (s *state, was *stream.State) {
	s = t.states.get(c.Name)
	was = s.current
	if !s.dirty {
		s.dirty = true
		t.dirty = append(t.dirty, s)
	}
	s.current = nil
	if !c.Gone {
		next := c.State
		s.current = &next
	}
	grew := t.tails && was != nil && s.current != nil && was.SameButTail(s.current)
	if !grew && !s.noted {
		s.noted = true
		t.noted = append(t.noted, s)
	}
	return s, was
}

func (t *txn) write(w stream.Write) {
	if i := t.findRun(w.Incarnation); i >= 0 {
		t.runs[i].appends = append(t.runs[i].appends, w.Append)
		return
	}
	if len(t.runs) >= runsSearched {
		t.runOf[w.Incarnation] = len(t.runs)
	}
	t.runs = append(t.runs, run{w.Incarnation, w.Pos, append(t.spareList(), w.Append)})
}

// findRun returns the place of an incarnation's run, -1 for none.
func (t *txn) findRun(incarnation uint64) int {
	for i := range min(len(t.runs), runsSearched) {
		if t.runs[i].incarnation == incarnation {
			return i
		}
	}
	if i, ok := t.runOf[incarnation]; ok {
		return i
	}
	return -1
}

func (t *txn) spareList() []stream.StoredAppend {
	last := len(t.spare) - 1
	if last < 0 {
		return make([]stream.StoredAppend, 0, 1)
	}
	list := t.spare[last]
	t.spare = t.spare[:last]
	return list
}

func (t *txn) drop(incarnation uint64) {
	t.runs = slices.DeleteFunc(t.runs, func(r run) bool { return r.incarnation == incarnation })
	clear(t.runOf)
	for i := runsSearched; i < len(t.runs); i++ {
		t.runOf[t.runs[i].incarnation] = i
	}
	for key := range t.producers {
		if key.incarnation == incarnation {
			delete(t.producers, key)
		}
	}
	if err := t.batch.DropIncarnation(incarnation); err != nil {
		panic(fmt.Sprintf("fsm: %v", err))
	}
}

// finish completes an entry: what it added to each stream becomes one record, and
// of a stream of which more has changed the state is to be written as it is now.
func (t *txn) finish() {
	for _, s := range t.noted {
		s.noted, s.owed, s.owes = false, true, s.current
	}
	t.noted = t.noted[:0]
	for i := range t.runs {
		r := &t.runs[i]
		t.buf = stream.AppendRecordHeader(t.buf[:0], r.appends)
		t.pieces = append(t.pieces[:0], t.buf)
		for _, a := range r.appends {
			t.pieces = append(t.pieces, a.Data)
		}
		t.batch.PutRecord(r.incarnation, r.start, t.pieces...)
	}
	clear(t.pieces) // they lie in the memory of the entry
	t.done = append(t.done, t.runs...)
	clear(t.runs)
	t.runs = t.runs[:0]
	clear(t.runOf)
}

// commit writes all that was decided since the last commit, in one batch with
// the index it covers, and returns the streams that changed.
func (t *txn) commit() ([]published, error) {
	changed := make([]published, 0, len(t.dirty))
	for _, s := range t.dirty {
		t.stage(s)
		changed = append(changed, published{s.name, s.current})
	}
	t.dirty = t.dirty[:0]
	for key, p := range t.producers {
		t.buf = stream.AppendProducerState(t.buf[:0], p)
		t.batch.PutProducer(key.incarnation, key.id, t.buf)
	}
	clear(t.producers)
	t.ledger.stage(t.batch)
	if err := t.engine.Commit(t.batch, t.globals); err != nil {
		return nil, fmt.Errorf("commit entry %d: %w", t.globals.Applied, err)
	}
	t.batch.Reset()
	t.states.trim()
	return changed, nil
}

// settle forgets what was committed, when readers know of it.
func (t *txn) settle() {
	for _, r := range t.done {
		if cap(r.appends) <= spareCap && len(t.spare) < sparesMax {
			clear(r.appends)
			t.spare = append(t.spare, r.appends[:0])
		}
	}
	clear(t.done)
	t.done = t.done[:0]
}

// stage puts one changed stream, and its entries in the indexes by time, into
// the batch, if there is more to say of it than its records do.
func (t *txn) stage(s *state) {
	s.dirty = false
	if !s.owed {
		return
	}
	next := s.owes
	s.owed, s.owes = false, nil
	var indexed, trimAt stream.Time
	if next == nil {
		t.batch.DeleteStream(s.name)
	} else {
		indexed, trimAt = next.Indexed, next.TrimAt
		t.buf = stream.AppendState(t.buf[:0], next)
		t.batch.PutStream(s.name, t.buf)
	}
	t.stageTrim(s, trimAt)
	if indexed == s.indexed {
		return
	}
	if s.indexed != 0 {
		t.batch.DeleteDeadline(s.indexed, s.name)
	}
	if indexed != 0 {
		t.batch.PutDeadline(indexed, s.name)
	}
	s.indexed = indexed
}

func (t *txn) stageTrim(s *state, at stream.Time) {
	if at == s.trimAt {
		return
	}
	if s.trimAt != 0 {
		t.batch.DeleteTrim(s.trimAt, s.name)
	}
	if at != 0 {
		t.batch.PutTrim(at, s.name)
	}
	s.trimAt = at
}
