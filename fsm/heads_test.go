package fsm

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

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
			r.machine.heads.publish(changed)
		})
	}
}

// Data that a state names and nobody dropped is a fault, not an empty answer.
func TestMissingDataIsAFault(t *testing.T) {
	r := newReplica(t)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"}, hello("s"))
	b := r.engine.NewBatch()
	b.DropIncarnation(1)
	if err := r.engine.Commit(b, r.engine.Globals()); err != nil {
		t.Fatal(err)
	}
	chunk, err := r.machine.Read("s", stream.From{}, 100)
	var no *stream.Rejection
	if err == nil || errors.As(err, &no) {
		t.Fatalf("%q, %v; want a fault", chunk.Body, err)
	}
}

func TestBellsAreForgotten(t *testing.T) {
	r := newReplica(t)
	a, b := r.machine.heads.listen("s"), r.machine.heads.listen("s")
	if a != b {
		t.Fatal("two readers of one stream have two bells")
	}
	r.machine.heads.leave("s", a)
	select {
	case <-b.rung:
		t.Fatal("the leaving of one rang for the other")
	default:
	}
	r.machine.heads.leave("s", b)
	r.propose(0, 0, 0, stream.Create{Name: "s", ContentType: "text/plain"})
	for i := range r.machine.heads.shards {
		if n := len(r.machine.heads.shards[i].bells); n != 0 {
			t.Fatalf("%d bells are left that nobody hears", n)
		}
	}
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
