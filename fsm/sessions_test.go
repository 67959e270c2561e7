package fsm

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/storage"
	"mainstem/stream"
)

// replica is a machine without raft: entries are applied as they are given.
type replica struct {
	t       *testing.T
	fs      vfs.FS
	engine  *storage.Engine
	machine *Machine
	index   uint64
	now     stream.Time
	level   byte // of entries
}

func newReplica(t *testing.T) *replica {
	r := &replica{t: t, fs: vfs.NewMem(), now: 1_000_000, level: stream.Level}
	r.open()
	t.Cleanup(func() { r.engine.Close() })
	return r
}

func (r *replica) open() {
	r.t.Helper()
	var err error
	if r.engine, err = storage.Open(storage.Config{Dir: "copy", FS: r.fs}); err != nil {
		r.t.Fatal(err)
	}
	if r.machine, err = New(r.engine, Config{}); err != nil {
		r.t.Fatal(err)
	}
}

// reopen flushes and starts again, as after a clean stop.
func (r *replica) reopen() {
	r.t.Helper()
	if err := r.engine.Flush(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.engine.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

func (r *replica) propose(session, sequence, floor uint64, commands ...stream.Command) []stream.Result {
	r.t.Helper()
	e := stream.NewEnvelope(nil)
	for _, c := range commands {
		e = stream.AppendToEnvelope(e, c)
	}
	stream.Address(e, session, sequence, floor)
	if err := errors.Join(stream.Stamp(e, r.now), stream.Agree(e, r.level)); err != nil {
		r.t.Fatal(err)
	}
	r.index++
	l := &raft.Log{Index: r.index, Term: 1, Type: raft.LogCommand, Data: e}
	return r.machine.Apply(l).([]stream.Result)
}

// wantSessions checks that a start finds the sessions as they are in memory.
func (r *replica) wantSessions() {
	r.t.Helper()
	live := r.machine.txn.sessions
	found, err := loadSessions(r.engine)
	if err != nil {
		r.t.Fatal(err)
	}
	if !reflect.DeepEqual(found.held, live.held) || !reflect.DeepEqual(found.outcomes, live.outcomes) {
		r.t.Fatalf("found\n%v\n%v\nin memory\n%v\n%v", found.held, found.outcomes, live.held, live.outcomes)
	}
}

func (r *replica) openSession() uint64 {
	r.t.Helper()
	return r.propose(0, 0, 0, stream.OpenSession{})[0].Outcome.Session
}

func (r *replica) tail(name stream.Name) uint64 {
	r.t.Helper()
	info, ok, err := r.machine.Info(name)
	if err != nil || !ok {
		r.t.Fatalf("info of %s: ok %v, err %v", name, ok, err)
	}
	return info.Tail.Pos
}

func hello(name stream.Name) stream.Command {
	return stream.Append{Name: name, ContentType: "text/plain", Body: stream.Payload{Data: []byte("hello")}}
}

func TestRepeatIsAnsweredWithTheFirstOutcome(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	session := r.openSession()
	first := r.propose(session, 7, 7, hello("s"), hello("missing"))
	r.propose(session, 8, 7, hello("s"))
	for _, reopen := range []bool{false, true} {
		if reopen {
			r.reopen()
		}
		again := r.propose(session, 7, 7, hello("s"), hello("missing"))
		if got, want := again[0].Outcome.Next, first[0].Outcome.Next; got != want {
			t.Fatalf("reopened %v: repeat answered with tail %v, first with %v", reopen, got, want)
		}
		if no := again[1].Rejection; no == nil || no.Code != stream.NotFound {
			t.Fatalf("reopened %v: refusal not repeated: %v", reopen, no)
		}
		if got := r.tail("s"); got != 10 {
			t.Fatalf("reopened %v: %d bytes after two appends and a repeat, want 10", reopen, got)
		}
	}
}

// Two batches in flight may enter the log in either order, and the one that
// came second may have to be proposed again.
func TestSessionIsAWindowNotAHighWaterMark(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	session := r.openSession()
	r.propose(session, 2, 1, hello("s"))
	late := r.propose(session, 1, 1, hello("s"))
	if late[0].Rejection != nil {
		t.Fatalf("batch 1 refused after batch 2: %v", late[0].Rejection)
	}
	if got := r.tail("s"); got != 10 {
		t.Fatalf("%d bytes, want 10", got)
	}
}

func TestLostBatchIsRefusedAndNeverApplied(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	session := r.openSession()
	r.propose(session, 1, 1, hello("s"))
	r.propose(session, 2, 2, hello("s")) // 1 was answered: its outcome goes
	for what, results := range map[string][]stream.Result{
		"below the floor": r.propose(session, 1, 1, hello("s")),
		"unknown session": r.propose(999, 1, 1, hello("s")),
	} {
		if no := results[0].Rejection; no == nil || no.Code != stream.OutcomeUnknown {
			t.Fatalf("%s: got %v, want outcome unknown", what, no)
		}
	}
	if got := r.tail("s"); got != 10 {
		t.Fatalf("%d bytes, want 10", got)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	first := r.openSession()
	r.now++
	for range stream.SessionsMax {
		r.openSession()
	}
	if got := len(r.machine.txn.sessions.held); got != stream.SessionsMax {
		t.Fatalf("%d sessions held, want %d", got, stream.SessionsMax)
	}
	if no := r.propose(first, 1, 1, hello("s"))[0].Rejection; no == nil || no.Code != stream.OutcomeUnknown {
		t.Fatalf("the least recently used session still applies: %v", no)
	}
	r.now = r.now.Add(stream.SessionIdle + 1e6)
	last := r.openSession()
	if got := len(r.machine.txn.sessions.held); got != 1 {
		t.Fatalf("%d sessions held after an idle hour, want 1", got)
	}
	r.reopen()
	if got := len(r.machine.txn.sessions.held); got != 1 {
		t.Fatalf("%d sessions held after a restart, want 1", got)
	}
	if no := r.propose(last, 1, 1, hello("s"))[0].Rejection; no != nil {
		t.Fatalf("session lost by a restart: %v", no)
	}
}

// Sequences in any order, floors that stay behind and catch up, entries from leaders
// that know less of the members, and what no proposer should say.
func TestAStartFindsTheSessionsAsTheyWere(t *testing.T) {
	for seed := range uint64(6) {
		g := rand.New(rand.NewPCG(seed, 5))
		r := newReplica(t)
		r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
		ids := []uint64{r.openSession(), r.openSession()}
		floors, next := map[uint64]uint64{}, map[uint64]uint64{}
		own := 0
		for range 300 {
			r.now += stream.Time(g.IntN(3))
			id := ids[g.IntN(2)]
			sequence := next[id]
			switch g.IntN(10) {
			case 0:
				sequence += uint64(g.IntN(9)) // others will come later
			case 1:
				sequence -= min(sequence, uint64(g.IntN(9))) // a repeat, or one that came late
			}
			next[id] = max(next[id], sequence+1)
			switch g.IntN(12) {
			case 0:
				floors[id] = max(floors[id], sequence+uint64(g.IntN(3))) // even beyond itself
			case 1, 2, 3:
				floors[id] = max(floors[id], sequence-min(sequence, 1))
			}
			r.level = stream.LevelSlots - byte(g.IntN(7)/5)
			r.level -= byte(g.IntN(4)/3) * (r.level - stream.LevelOldest)
			r.propose(id, sequence, floors[id], hello("s"))
			r.wantSessions()
			for _, o := range r.machine.txn.sessions.outcomes[id] {
				if o.own {
					own++
				}
			}
		}
		if own == 0 {
			t.Fatalf("seed %d: no outcome was for want of a slot", seed)
		}
		r.reopen()
		r.wantSessions()
	}
}

// However long an answer is outstanding, the others do not become dear.
func TestAnOutstandingAnswerLeavesTheOthersCheap(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	session := r.openSession()
	first, last := 0, 0
	for i := range uint64(500) {
		e := stream.AppendToEnvelope(stream.NewEnvelope(nil), hello("s"))
		stream.Address(e, session, i+1, 1)
		if err := stream.Agree(e, stream.Level); err != nil {
			t.Fatal(err)
		}
		last = r.staged(e)
		if i == sessionSlots { // the first that has none
			first = last
		}
	}
	if last > first+8 { // numbers become longer
		t.Fatalf("%d bytes are put after 500 batches without an answer, %d after the first", last, first)
	}
	r.wantSessions()
	r.propose(session, 501, 501, hello("s"))
	if got := len(r.machine.txn.sessions.outcomes[session]); got != 1 {
		t.Fatalf("%d outcomes are held, want 1", got)
	}
	r.wantSessions()
}

// Members that know nothing of slots hold the same bytes until there are none left.
func TestAnEntryOfAnOlderLevelTakesNoSlot(t *testing.T) {
	r := newReplica(t)
	r.level = stream.LevelTails
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	session := r.openSession()
	for sequence := uint64(1); sequence < 4; sequence++ {
		slots := sequence == 3
		if slots {
			r.level = stream.LevelSlots
		}
		r.propose(session, sequence, sequence, hello("s"))
		if o := r.machine.txn.sessions.outcomes[session][sequence]; o.own == slots || len(o.results) != 1 {
			t.Fatalf("batch %d: got %+v", sequence, o)
		}
		if got := r.engine.Globals().Slots; got != slots {
			t.Fatalf("after batch %d the copy says %v of slots, want %v", sequence, got, slots)
		}
		r.wantSessions()
	}
}
