package fsm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/stream"
)

// Between the commit and its publication the heads name data that the copy has
// dropped already. A read in that moment answers as of after, not with a fault.
func TestReadBetweenCommitAndPublication(t *testing.T) {
	for name, after := range map[string]struct {
		commands []stream.Command
		code     stream.Code // 0: it reads want
		want     string
	}{
		"deleted":      {[]stream.Command{stream.Delete{Name: "s"}}, stream.NotFound, ""},
		"recreated":    {[]stream.Command{stream.Delete{Name: "s"}, stream.Create{Name: "s", ContentType: "text/plain", Body: stream.Payload{Data: []byte("new")}}}, 0, "new"},
		"soft-deleted": {[]stream.Command{stream.Create{Name: "f", Fork: &stream.Fork{Source: "s"}}, stream.Delete{Name: "s"}}, 0, "hello"},
		"grown":        {[]stream.Command{hello("s")}, 0, "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"}, hello("s"))
			for _, c := range after.commands {
				if result := r.machine.txn.decide(c); result.Rejection != nil {
					t.Fatal(result.Rejection)
				}
			}
			r.machine.txn.finish()
			changed, err := r.machine.txn.commit()
			if err != nil {
				t.Fatal(err)
			}
			chunk, err := r.machine.Read("s", stream.From{}, 100)
			var no *stream.Rejection
			switch {
			case after.code != 0:
				if !errors.As(err, &no) || no.Code != after.code {
					t.Fatalf("%+v, %v; want code %d", chunk, err, after.code)
				}
			case err != nil || len(chunk.Body) != 1 || string(chunk.Body[0]) != after.want:
				t.Fatalf("%q, %v; want %q", chunk.Body, err, after.want)
			}
			r.machine.heads.publish(changed, r.machine.txn.done)
			r.machine.txn.settle()
		})
	}
}

// Data that a state names and nobody dropped is a fault, not an empty answer.
func TestMissingDataIsAFault(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"}, hello("s"))
	b := r.engine.NewBatch()
	if err := b.DropIncarnation(1); err != nil {
		t.Fatal(err)
	}
	if err := r.engine.Commit(b, r.engine.Globals()); err != nil {
		t.Fatal(err)
	}
	chunk, err := r.machine.Read("s", stream.From{}, 100)
	var no *stream.Rejection
	if err == nil || errors.As(err, &no) {
		t.Fatalf("%q, %v; want a fault", chunk.Body, err)
	}
}

func TestTailsThatNobodyFollowsAreForgotten(t *testing.T) {
	r := newReplica(t)
	h := r.machine.heads
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	look, leave := r.machine.Follow("s")
	_, leave2 := r.machine.Follow("s")
	_, bell, err := look(stream.From{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	leave2()
	select {
	case <-bell:
		t.Fatal("the leaving of one rang for the other")
	default:
	}
	for range 2 * unreadMax { // nobody looks, but somebody may
		r.propose(0, 0, 0, hello("s"))
	}
	<-bell
	if got := h.kept("s"); got == 0 {
		t.Fatal("the data of a stream that is followed was dropped")
	}
	leave()
	if h.tails.Load() != 1 {
		t.Fatal("the tail is gone before its follower can be back")
	}
	for range unreadMax + 1 {
		r.propose(0, 0, 0, hello("s"))
	}
	if got := h.tails.Load(); got != 0 || len(h.shard("s").tails) != 0 || h.shard("s").cost != 0 || h.shard("s").recent.Len() != 0 {
		t.Fatalf("%d tails are left that nobody follows: %+v", got, h.shard("s"))
	}
}

// kept is how many pieces of a stream are in memory.
func (h *heads) kept(name stream.Name) int {
	v, _ := h.look(name)
	return len(v.pieces)
}

// A batch of a session whose own commands end that session must not stop the
// node: every replica would stop at the same entry, for ever.
func TestASessionMayEndInItsOwnBatch(t *testing.T) {
	r := newReplica(t)
	session := r.openSession()
	r.now += 2 * 3_600_000
	results := r.propose(session, 1, 1, stream.OpenSession{}, stream.Create{Name: "s", ContentType: "text/plain"})
	if len(results) != 2 || results[1].Rejection != nil {
		t.Fatalf("%+v", results)
	}
	if no := r.propose(session, 1, 1, hello("s"))[0].Rejection; no == nil || no.Code != stream.OutcomeUnknown {
		t.Fatalf("a batch of the ended session: %v, want outcome unknown", no)
	}
	if _, known := r.machine.txn.sessions.held[results[0].Outcome.Session]; !known {
		t.Fatal("the new session is not held")
	}
	if got, want := len(r.machine.txn.sessions.outcomes), len(r.machine.txn.sessions.held); got != want {
		t.Fatalf("outcomes of %d sessions, %d held", got, want)
	}
	r.reopen()
}

// A state read from the copy just before a commit must not be held after it:
// readers evict and read back while the writer checks what it has just written.
func TestHeadsNeverHoldWhatACommitReplaced(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	h := r.machine.heads
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !stop.Load() {
				s := h.shard("s")
				s.mu.Lock()
				clear(s.states)
				s.mu.Unlock()
				if _, err := h.get("s"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 8000 {
		want := r.propose(0, 0, 0, hello("s"))[0].Outcome.Next.Pos
		for range 4 {
			if got := r.tail("s"); got < want {
				stop.Store(true)
				wg.Wait()
				t.Fatalf("tail %d is shown after %d was committed", got, want)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}

// The memory of all tails is bounded, and what no longer fits is still read.
func TestMemoryOfTailsIsBounded(t *testing.T) {
	const bytes = headShards * 20_000
	r := newReplica(t)
	r.machine.heads = newHeads(r.engine, 100, bytes)
	h := r.machine.heads
	names := make([]stream.Name, 300)
	for i := range names {
		names[i] = stream.Name(fmt.Sprint("s", i))
		r.propose(0, 0, 0, stream.Create{Name: names[i], ContentType: "text/plain"})
		_, leave := r.machine.Follow(names[i])
		defer leave()
	}
	most := int64(0)
	for round := range 40 {
		for i, name := range names {
			data := make([]byte, 1+(i*37+round*211)%6000)
			r.propose(0, 0, 0, stream.Append{Name: name, ContentType: "text/plain", Body: stream.Payload{Data: data}})
		}
		held := int64(0)
		for i := range h.shards {
			s, cost := &h.shards[i], int64(0)
			for _, tail := range s.tails {
				sum := int64(0)
				for _, p := range tail.pieces {
					sum += p.cost()
				}
				if sum != tail.cost || (tail.place != nil) != (len(tail.pieces) > 0) {
					t.Fatalf("a tail counts %d and holds %d in %d pieces", tail.cost, sum, len(tail.pieces))
				}
				cost += sum
			}
			if cost != s.cost || cost > s.costMost {
				t.Fatalf("shard %d holds %d, counts %d, may hold %d", i, cost, s.cost, s.costMost)
			}
			held += cost
		}
		most = max(most, held)
	}
	if most < bytes/4 {
		t.Fatalf("held at most %d of %d bytes: nothing was bounded", most, bytes)
	}
	for _, name := range names {
		if chunk, err := r.machine.Read(name, stream.From{}, 1<<20); err != nil || chunk.Len() != int(r.tail(name)) {
			t.Fatalf("%s: %d bytes, %v; want %d", name, chunk.Len(), err, r.tail(name))
		}
	}
}

// Pieces are of one life of a stream, and none outlives the copy that it came
// from.
func TestMemoryIsOfOneLife(t *testing.T) {
	r := newReplica(t)
	h := r.machine.heads
	create := stream.Create{Name: "s", ContentType: "text/plain", Body: stream.Payload{Data: []byte("start")}}
	_, leave := r.machine.Follow("s")
	defer leave()
	check := func(what string, want int) {
		t.Helper()
		v, err := h.look("s")
		if err != nil || len(v.pieces) != want {
			t.Fatalf("%s: %d pieces, want %d; %v", what, len(v.pieces), want, err)
		}
		for _, p := range v.pieces {
			if p.incarnation != v.state.Incarnation {
				t.Fatalf("%s: a piece of incarnation %d, the stream is %d", what, p.incarnation, v.state.Incarnation)
			}
		}
	}
	r.propose(0, 0, 0, create)
	r.propose(0, 0, 0, hello("s"))
	check("two commits", 2)
	r.propose(0, 0, 0, stream.Delete{Name: "s"}, create)
	check("made anew in one commit", 1)
	r.propose(0, 0, 0, stream.Delete{Name: "s"})
	check("deleted", 0)
	r.propose(0, 0, 0, create)
	check("made anew", 1)
	h.forget()
	check("another copy", 0)
}

// Like TestNoWakeUpIsLost, without the rest of the machine: the moment between
// looking and listening is short, and each change comes about when a reader that
// has just begun to follow is there, alone or beside one who comes and goes.
func TestNoBellIsMissed(t *testing.T) {
	t.Run("alone", func(t *testing.T) { missNoBell(t, 200_000, false) })
	t.Run("beside another", func(t *testing.T) { missNoBell(t, 20_000, true) })
}

func missNoBell(t *testing.T, rounds uint64, beside bool) {
	const enough = 10 * time.Second
	r := newReplica(t)
	h := r.machine.heads
	h.publish([]published{{"s", &stream.State{Incarnation: 1}}}, nil)
	var seen atomic.Uint64
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	await := func(at uint64) (uint64, bool) {
		h.follow("s")
		defer h.unfollow("s")
		for {
			v, err := h.look("s")
			if err != nil || v.state.Pos > at {
				return v.state.Pos, err == nil
			}
			select {
			case <-v.bell:
			case <-ctx.Done():
				return at, false
			}
		}
	}
	wg.Go(func() {
		defer cancel()
		for at, ok := uint64(0), true; at < rounds; seen.Store(at) {
			if at, ok = await(at); !ok {
				t.Errorf("asleep at %d for ever", at)
				return
			}
		}
	})
	if beside {
		wg.Go(func() {
			for at, ok := uint64(0), true; ok; {
				at, ok = await(at)
			}
		})
	}
	begin := time.Now()
	for round := uint64(1); round <= rounds && ctx.Err() == nil; round++ {
		if time.Since(begin) > enough { // a machine that is slow is not asleep
			round = rounds
		}
		h.publish([]published{{"s", &stream.State{Incarnation: 1, Pos: round}}}, nil)
		for n := 0; seen.Load() < round && ctx.Err() == nil; n++ {
			if n > 1000 {
				runtime.Gosched()
			}
		}
		for range round % 64 { // meet the reader at another step each time
			_ = seen.Load()
		}
	}
	wg.Wait()
}

// TestTheLockIsFreeWhenABellRings: all who are woken want it, and would queue for
// it one by one behind the one who rings.
func TestTheLockIsFreeWhenABellRings(t *testing.T) {
	r := newReplica(t)
	h := r.machine.heads
	s := h.shard("s")
	const waiters = 400
	var held atomic.Int64
	for round := range uint64(100) {
		var waiting, woken sync.WaitGroup
		for range waiters {
			h.follow("s")
			v, err := h.look("s")
			if err != nil {
				t.Fatal(err)
			}
			waiting.Add(1)
			woken.Go(func() {
				waiting.Done()
				<-v.bell
				if s.mu.TryRLock() {
					s.mu.RUnlock()
				} else {
					held.Add(1)
				}
			})
		}
		waiting.Wait()
		h.publish([]published{{"s", &stream.State{Incarnation: 1, Pos: round}}}, nil)
		woken.Wait()
		for range waiters {
			h.unfollow("s")
		}
	}
	if n := held.Load(); n > 0 {
		t.Fatalf("%d readers were woken under the lock", n)
	}
	if n := h.tails.Load(); n != 0 {
		t.Fatalf("%d tails are left when all have gone", n)
	}
}
