package subs

import (
	"testing"
	"time"
)

// What goes at a stream's start leaves cursors where they are: a worker that is
// behind learns from the read what it missed, and may acknowledge what it was
// given before that went.
func TestATrimLeavesCursorsAndTakesTheirAcks(t *testing.T) {
	w := newWorld(t)
	w.create("wake/pool", 0)
	w.create("e/a", 4)
	n := w.subscribe("s", pull("e/*"))
	w.add("e/a", 4)
	middle := w.tail("e/a")
	w.add("e/a", 4)
	late := w.tail("e/a")
	w.add("e/a", 4)
	w.must(0, Claim{ID: "s", Worker: "one", WakeID: "w1"})
	trimmed := *w.streams["e/a"]
	trimmed.Horizon, trimmed.Freed = late.Pos, late.Pos
	w.see("e/a", &trimmed, false, 0)
	for _, o := range []uint64{middle.Pos, late.Pos} { // their records are gone
		delete(w.ends, [2]uint64{late.Incarnation, o})
	}
	if l, _ := w.Link(n, "e/a"); !l.pending(w.streams["e/a"]) {
		t.Fatal("what is left is not pending any more")
	}
	ack := Ack{Number: n, Via: PullWake, Token: 1, Generation: 1, WakeID: "w1", Acks: []Cursor{{"e/a", middle}}}
	w.must(time.Millisecond, ack)
	ack.Acks[0].Offset = late
	w.must(time.Millisecond, ack)
	beyond := late
	beyond.Pos++ // inside what is kept: judged as ever
	ack.Acks[0].Offset = beyond
	w.refused(0, ack, InvalidOffset)
	if got := w.acked("s", "e/a"); got != late {
		t.Fatalf("the cursor is at %v, want %v", got, late)
	}
}
