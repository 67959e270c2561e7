package stream

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// replica is a View in memory that carries out what Decide decides. After each
// command it checks what must hold of every replica.
type replica struct {
	t         testing.TB
	now       Time
	limits    Limits
	drawn     uint64
	streams   map[Name]*State
	producers map[producerKey]ProducerState
	data      map[uint64][]Write  // by incarnation, in order
	records   map[uint64][]uint64 // where records start
}

type producerKey struct {
	incarnation uint64
	id          string
}

func newReplica(t testing.TB) *replica {
	return &replica{t: t, now: 1_700_000_000_000, streams: map[Name]*State{}, producers: map[producerKey]ProducerState{}, data: map[uint64][]Write{}, records: map[uint64][]uint64{}}
}

func (r *replica) Stream(name Name) *State { return r.streams[name] }
func (r *replica) Incarnations() uint64    { return r.drawn }
func (r *replica) Limits() Limits          { return r.limits }

// Stored is checked against what is there after each command.
func (r *replica) Stored() (n uint64) {
	for _, s := range r.streams {
		n += s.Stored()
	}
	return n
}

func (r *replica) Producer(incarnation uint64, id string) (ProducerState, bool) {
	p, ok := r.producers[producerKey{incarnation, id}]
	return p, ok
}

func (r *replica) Ends(incarnation, pos uint64) bool {
	return slices.ContainsFunc(r.data[incarnation], func(w Write) bool { return w.Pos+uint64(len(w.Append.Data)) == pos })
}

func (r *replica) AppendAt(incarnation, pos uint64) (StoredAppend, bool) {
	for _, w := range r.data[incarnation] {
		if w.Pos == pos {
			return w.Append, true
		}
	}
	return StoredAppend{}, false
}

func (r *replica) Holding(incarnation, pos uint64) (Held, bool) {
	for _, w := range r.data[incarnation] {
		if end := w.Pos + uint64(len(w.Append.Data)); w.Pos <= pos && pos < end {
			return Held{w.Pos, end, w.Append.At}, true
		}
	}
	return Held{}, false
}

// WholeBefore takes an append at a multiple of three for the start of a record,
// which takes all up to the next such. The last may take more.
func (r *replica) WholeBefore(incarnation, pos uint64) uint64 {
	i := slices.IndexFunc(r.records[incarnation], func(start uint64) bool { return start >= pos })
	switch {
	case i >= 0 && r.records[incarnation][i] == pos:
		return pos
	case i < 0:
		i = len(r.records[incarnation])
	}
	return r.records[incarnation][i-1]
}

func (r *replica) do(c Command) Result {
	r.t.Helper()
	var change Change
	before := map[Name]State{}
	for name, s := range r.streams {
		before[name] = *s
	}
	result := Decide(r, r.now, c, &change)
	for name, s := range r.streams {
		if fmt.Sprint(before[name]) != fmt.Sprint(*s) {
			r.t.Fatalf("Decide wrote to the state of %q", name)
		}
	}
	r.evolve(&change)
	r.check(c)
	return result
}

func (r *replica) evolve(change *Change) {
	if change.Drawn != 0 {
		if change.Drawn != r.drawn+1 {
			r.t.Fatalf("drew %d after %d", change.Drawn, r.drawn)
		}
		r.drawn = change.Drawn
	}
	for _, c := range change.Streams {
		if c.Gone {
			delete(r.streams, c.Name)
			continue
		}
		s := c.State
		r.streams[c.Name] = &s
	}
	for _, p := range change.Producers {
		r.producers[producerKey{p.Incarnation, p.ID}] = p.State
	}
	for _, w := range change.Writes {
		w.Append.Data = slices.Clone(w.Append.Data)
		r.data[w.Incarnation] = append(r.data[w.Incarnation], w)
		if w.Pos%3 == 0 || r.records[w.Incarnation] == nil {
			r.records[w.Incarnation] = append(r.records[w.Incarnation], w.Pos)
		}
	}
	for _, f := range change.Freed {
		if f.From >= f.To {
			r.t.Fatalf("freed nothing: %+v", f)
		}
		r.data[f.Incarnation] = slices.DeleteFunc(r.data[f.Incarnation], func(w Write) bool { return w.Pos >= f.From && w.Pos < f.To })
	}
	for _, dropped := range change.Dropped {
		delete(r.data, dropped)
		for key := range r.producers {
			if key.incarnation == dropped {
				delete(r.producers, key)
			}
		}
	}
}

// check holds the invariants: references are counted right, nothing is kept
// that nobody needs, the index never lags behind a deadline, data is whole.
func (r *replica) check(after Command) {
	r.t.Helper()
	fail := func(name Name, s *State, what string) {
		r.t.Helper()
		r.t.Fatalf("after %T %q: %s: %q is %+v (origin %+v)", after, after.target(), what, name, s, s.Origin)
	}
	refs, living := map[Name]uint64{}, map[uint64]bool{}
	for _, s := range r.streams {
		living[s.Incarnation] = true
		if s.Origin != nil {
			refs[s.Origin.Source]++
		}
	}
	for name, s := range r.streams {
		switch {
		case s.Refs != refs[name]:
			fail(name, s, fmt.Sprintf("%d forks refer to it", refs[name]))
		case s.Deleted && s.Refs == 0:
			fail(name, s, "kept for nobody")
		case s.Deleted && (s.Deadline != 0 || s.Indexed != 0):
			fail(name, s, "a deleted stream cannot expire again")
		case s.Deadline != 0 && (s.Indexed == 0 || s.Indexed > s.Deadline):
			fail(name, s, "the sweeper would come too late")
		case s.Deadline == 0 && s.Indexed != 0:
			fail(name, s, "indexed without a deadline")
		case s.Origin != nil && (r.streams[s.Origin.Source] == nil || r.streams[s.Origin.Source].Incarnation != s.Origin.SourceIncarnation):
			fail(name, s, "its source is gone")
		case s.Origin == nil && (s.Base != 0 || s.Spans != nil):
			fail(name, s, "inherits from nobody")
		}
		r.checkOwn(name, s, fail)
		_ = r.body(s)
	}
	for incarnation := range r.data {
		if !living[incarnation] {
			r.t.Fatalf("after %T %q: the data of incarnation %d was not dropped", after, after.target(), incarnation)
		}
	}
	for key := range r.producers {
		if !living[key.incarnation] {
			r.t.Fatalf("after %T %q: producer %v was not dropped", after, after.target(), key)
		}
	}
}

// checkOwn holds what must be of a stream's own data: what can be read is there
// without a hole, and what neither its readers nor forks can need is gone.
func (r *replica) checkOwn(name Name, s *State, fail func(Name, *State, string)) {
	r.t.Helper()
	switch {
	case s.Horizon > s.Pos:
		fail(name, s, "the horizon lies beyond the tail")
	case s.Freed > max(s.Horizon, s.Base):
		fail(name, s, "freed what can be read")
	case s.Refs == 0 && s.Pinned != Range{}:
		fail(name, s, "pinned for nobody")
	case s.Deleted && s.TrimAt != 0:
		fail(name, s, "a deleted stream is not trimmed")
	case s.Retention.Age > 0 && s.Kept() > 0 && s.TrimAt == 0 && !s.Deleted:
		fail(name, s, "nobody will look at its retention")
	}
	held := uint64(0)
	for _, w := range r.data[s.Incarnation] {
		held += uint64(len(w.Append.Data))
	}
	if s.Horizon <= s.Base && held != s.Stored() { // and none of its own was let go
		fail(name, s, fmt.Sprintf("it holds %d bytes of its own and counts %d", held, s.Stored()))
	}
	own := max(s.Horizon, s.Base)
	for _, w := range r.data[s.Incarnation] {
		end := w.Pos + uint64(len(w.Append.Data))
		switch {
		case end == w.Pos || end > s.Pos || w.Pos < s.Base:
			fail(name, s, fmt.Sprintf("an append from %d to %d", w.Pos, end))
		case w.Pos < own && end > own:
			fail(name, s, "the horizon cuts an append")
		case w.Pos > own:
			fail(name, s, fmt.Sprintf("a hole in its own data from %d to %d", own, w.Pos))
		case w.Pos == own:
			own = end
		case end <= s.Freed && (end <= s.Pinned.From || r.recordOf(s.Incarnation, w.Pos) >= s.Pinned.To):
			fail(name, s, fmt.Sprintf("the append from %d to %d is kept for nobody", w.Pos, end))
		}
	}
	if own != s.Pos {
		fail(name, s, fmt.Sprintf("its own data ends at %d", own))
	}
}

// recordOf is where the record that holds pos starts.
func (r *replica) recordOf(incarnation, pos uint64) (start uint64) {
	for _, s := range r.records[incarnation] {
		if s <= pos {
			start = s
		}
	}
	return start
}

// body reads a stream from the start, as a reader would, and checks that its
// data is all there.
func (r *replica) body(s *State) string {
	r.t.Helper()
	var b strings.Builder
	for pos := s.Horizon; pos < s.Pos; {
		owner, end := s.Owner(pos)
		if end <= pos {
			r.t.Fatalf("no progress at %d of %+v", pos, s)
		}
		for pos < end {
			a, ok := r.AppendAt(owner, pos)
			if !ok {
				r.t.Fatalf("no append of incarnation %d at %d for %+v", owner, pos, s)
			}
			b.Write(a.Data)
			pos += uint64(len(a.Data))
		}
		if pos != end {
			r.t.Fatalf("an append of %d crosses into another's data at %d", owner, end)
		}
	}
	return b.String()
}

// offsets are all the offsets that a reader of s can be given, in order.
func (r *replica) offsets(s *State) []Offset {
	offsets := []Offset{s.Start()}
	for pos := s.Horizon; pos < s.Pos; {
		owner, _ := s.Owner(pos)
		a, _ := r.AppendAt(owner, pos)
		pos += uint64(len(a.Data))
		offsets = append(offsets, s.OffsetAt(pos))
	}
	return offsets
}

// Small words for tables.

func (r *replica) must(c Command) Outcome {
	r.t.Helper()
	result := r.do(c)
	if result.Rejection != nil {
		r.t.Fatalf("%T %q: %v", c, c.target(), result.Rejection)
	}
	return result.Outcome
}

func (r *replica) refused(code Code, c Command) *Rejection {
	r.t.Helper()
	result := r.do(c)
	if result.Rejection == nil || result.Rejection.Code != code {
		r.t.Fatalf("%T %q: outcome %+v, rejection %+v (%v); want code %d", c, c.target(), result.Outcome, result.Rejection, result.Rejection, code)
	}
	return result.Rejection
}

func (r *replica) text(name Name) string {
	r.t.Helper()
	s := r.streams[name]
	if s == nil {
		r.t.Fatalf("%q does not exist", name)
	}
	return r.body(s)
}

func text(name Name, body string) Create {
	return Create{Name: name, ContentType: "text/plain", Body: Payload{Data: []byte(body)}}
}

func add(name Name, body string) Append {
	return Append{Name: name, ContentType: "text/plain", Body: Payload{Data: []byte(body)}}
}

func jsonBody(t testing.TB, body string) Payload {
	t.Helper()
	p, err := Frame("application/json", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fork(name, source Name, offset *Offset, sub uint64) Create {
	return Create{Name: name, Fork: &Fork{Source: source, Offset: offset, SubOffset: sub}}
}

func by(a Append, id string, epoch, seq uint64) Append {
	a.Producer = &Producer{id, epoch, seq}
	return a
}

func closing(a Append) Append {
	a.Close = true
	return a
}

func at(incarnation, pos uint64) *Offset { return &Offset{incarnation, pos} }

func ascending(offsets []Offset) bool {
	return slices.IsSortedFunc(offsets, func(a, b Offset) int { return cmp.Compare(a.String(), b.String()) })
}
