package stream

import "fmt"

// View is what the rules may ask of the replica that decides. It shows the
// effect of every earlier command. A View that cannot answer stops its node:
// a dead replica is repairable, a diverged one is not.
type View interface {
	// Stream returns nil when there is none. The State is not to be changed.
	Stream(Name) *State
	Producer(incarnation uint64, id string) (ProducerState, bool)
	// Ends reports whether an append stored under incarnation ends at pos.
	Ends(incarnation, pos uint64) bool
	// AppendAt returns the append stored under incarnation that begins at pos.
	AppendAt(incarnation, pos uint64) (StoredAppend, bool)
	// Holding returns the append stored under incarnation that holds the byte after
	// pos. It is asked about data that is kept.
	Holding(incarnation, pos uint64) (Held, bool)
	// WholeBefore is how far data stored under incarnation can be freed without
	// what lies at pos or after it: up to pos, or to the start of the record that
	// goes on there, or may yet.
	WholeBefore(incarnation, pos uint64) uint64
	// Incarnations is how many have been drawn.
	Incarnations() uint64
	// Stored is the sum of State.Stored over all streams, and Limits are those that
	// came with the entry.
	Stored() uint64
	Limits() Limits
}

// Change is a decision made and not yet carried out.
type Change struct {
	Streams   []StreamChange
	Producers []ProducerChange
	Writes    []Write
	Dropped   []uint64 // incarnations whose data and producers go
	Freed     []FreedRange
	Drawn     uint64 // the incarnation, or session, drawn; 0 for none
	Opened    bool   // Drawn is a session
}

// StreamChange replaces the state of a stream; Gone removes it.
type StreamChange struct {
	Name  Name
	State State
	Gone  bool
}

// ProducerChange replaces what a stream remembers of a producer.
type ProducerChange struct {
	Incarnation uint64
	ID          string
	State       ProducerState
}

// Write adds an append at a position of an incarnation.
type Write struct {
	Incarnation, Pos uint64
	Append           StoredAppend
}

// FreedRange is data of an incarnation that goes. Records begin and end at its
// bounds.
type FreedRange struct {
	Incarnation uint64
	Range
}

// Reset empties c and keeps its memory.
func (c *Change) Reset() {
	clear(c.Streams)
	clear(c.Writes)
	c.Streams, c.Producers = c.Streams[:0], c.Producers[:0]
	c.Writes, c.Dropped, c.Drawn, c.Opened = c.Writes[:0], c.Dropped[:0], 0, false
	c.Freed = c.Freed[:0]
}

// Decide says what cmd does at machine time now, and fills c, which must be
// empty, with the change. A rejection may come with a change too: a stream
// found past its deadline is removed whatever else was asked.
func Decide(v View, now Time, cmd Command, c *Change) Result {
	d := decision{view: v, now: now, change: c}
	var out Outcome
	var no *Rejection
	switch cmd := cmd.(type) {
	case Create:
		out, no = d.create(cmd)
	case Append:
		out, no = d.append(cmd)
	case Delete:
		out, no = d.delete(cmd)
	case Touch:
		out, no = d.touch(cmd)
	case Expire:
		out, no = d.expire(cmd)
	case Trim:
		out, no = d.trim(cmd)
	case OpenSession:
		out = d.openSession()
	case Mark: // for replicas, not for streams
	default:
		panic(fmt.Sprintf("stream: no rule for %T", cmd))
	}
	return Result{Outcome: out, Rejection: no}
}

// decision is one Decide in progress.
type decision struct {
	view   View
	now    Time
	change *Change
}

// stream returns the state as this decision has left it so far.
func (d *decision) stream(name Name) *State {
	for i := len(d.change.Streams) - 1; i >= 0; i-- {
		if c := &d.change.Streams[i]; c.Name == name {
			if c.Gone {
				return nil
			}
			return &c.State
		}
	}
	return d.view.Stream(name)
}

// live is stream, after carrying out an expiry that is due.
func (d *decision) live(name Name) *State {
	s := d.stream(name)
	if s != nil && s.expired(d.now) {
		d.remove(name, s)
		s = d.stream(name)
	}
	return s
}

// usable is live for requests that a soft-deleted stream answers with 410.
func (d *decision) usable(name Name) (*State, *Rejection) {
	s := d.live(name)
	switch {
	case s == nil:
		return nil, &Rejection{Code: NotFound}
	case s.Deleted:
		return nil, &Rejection{Code: Gone}
	}
	return s, nil
}

func (d *decision) put(name Name, s State) {
	for i := range d.change.Streams {
		if d.change.Streams[i].Name == name {
			d.change.Streams[i] = StreamChange{Name: name, State: s}
			return
		}
	}
	d.change.Streams = append(d.change.Streams, StreamChange{Name: name, State: s})
}

func (d *decision) drop(name Name, incarnation uint64) {
	d.put(name, State{})
	for i := range d.change.Streams {
		if d.change.Streams[i].Name == name {
			d.change.Streams[i].Gone = true
		}
	}
	d.change.Dropped = append(d.change.Dropped, incarnation)
}

// remove ends a stream: softly while forks refer to it, else for good, and then
// up the chain of sources that only this stream kept (§4.2).
func (d *decision) remove(name Name, s *State) {
	for {
		if s.Refs > 0 {
			soft := *s
			soft.Deleted, soft.Deadline, soft.Indexed, soft.TrimAt = true, 0, 0, 0
			d.put(name, soft)
			return
		}
		origin := s.Origin
		d.drop(name, s.Incarnation)
		if origin == nil {
			return
		}
		source := *d.stream(origin.Source)
		if source.Refs--; source.Refs == 0 && !source.Deleted {
			source.unpin(d.now)
		}
		d.put(origin.Source, source)
		if !source.Deleted || source.Refs > 0 {
			return
		}
		name, s = origin.Source, &source
	}
}

func (d *decision) delete(c Delete) (Outcome, *Rejection) {
	s, no := d.usable(c.Name)
	if no != nil {
		return Outcome{}, no
	}
	out := Outcome{Next: s.Tail(), Closed: s.Closed}
	d.remove(c.Name, s)
	return out, nil
}

// touch renews a sliding lifetime on behalf of a read.
func (d *decision) touch(c Touch) (Outcome, *Rejection) {
	s, no := d.usable(c.Name)
	if no != nil {
		return Outcome{}, no
	}
	next := *s
	next.renew(d.now)
	if next.Deadline != s.Deadline {
		d.put(c.Name, next)
	}
	return Outcome{Next: s.Tail(), Closed: s.Closed}, nil
}

// expire answers whether the stream still lives. If it does, its entry in the
// expiry index moves to where it belongs.
func (d *decision) expire(c Expire) (Outcome, *Rejection) {
	s, no := d.usable(c.Name)
	if no != nil {
		return Outcome{}, no
	}
	if s.Indexed != s.Deadline {
		next := *s
		next.Indexed = s.Deadline
		d.put(c.Name, next)
	}
	return Outcome{Next: s.Tail(), Closed: s.Closed}, nil
}

// openSession draws from the counter of incarnations: one counter, never two
// things of one number.
func (d *decision) openSession() Outcome {
	d.change.Drawn, d.change.Opened = d.view.Incarnations()+1, true
	return Outcome{Session: d.change.Drawn}
}
