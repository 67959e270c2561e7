package cluster

import (
	"fmt"
	"testing"
	"time"
)

// Whatever the order in which two members hear of each other, at most one of
// them is told that the other stays.
func TestOfTwoMembersAtMostOneIsPromisedTheOther(t *testing.T) {
	const steps = 4 // a begins, b begins, a asks b, b asks a
	run := func(order []int) (aStays, bStays bool) {
		var a, b departure
		for _, step := range order {
			switch step {
			case 0:
				a.begin()
			case 1:
				b.begin()
			case 2:
				bStays = b.hear("b", report{NodeID: "a", Draining: a.begun(), Promised: a.hasPromised("b")})
			case 3:
				aStays = a.hear("a", report{NodeID: "b", Draining: b.begun(), Promised: b.hasPromised("a")})
			}
		}
		return aStays, bStays
	}
	var try func(order []int)
	tried := 0
	try = func(order []int) {
		if len(order) == 2*steps {
			tried++
			if a, b := run(order); a && b {
				t.Fatalf("both stay for each other after %v", order)
			}
			return
		}
		for step := range steps {
			try(append(order[:len(order):len(order)], step))
		}
	}
	try(nil)
	if tried == 0 {
		t.Fatal("nothing was tried")
	}
}

func TestAPromiseEndsWhenTheOtherIsBack(t *testing.T) {
	var d departure
	for step, c := range []struct {
		theirs report
		begin  bool
		want   bool
	}{
		{theirs: report{NodeID: "b", Draining: true}, want: true},
		{theirs: report{NodeID: "b", Draining: true}, begin: true, want: true},    // kept, though this node wants to leave now
		{theirs: report{NodeID: "b"}, want: false},                                // it is back
		{theirs: report{NodeID: "b", Draining: true}, want: false},                // and wants to leave again: this node was first, and "a" is lower
		{theirs: report{NodeID: "A", Draining: true}, want: true},                 // "A" is lower still
		{theirs: report{NodeID: "A", Draining: true, Promised: true}, want: true}, // what was promised once stands
	} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			if c.begin {
				d.begin()
			}
			if got := d.hear("a", c.theirs); got != c.want {
				t.Fatalf("got %v, want %v", got, c.want)
			}
		})
	}
	d.decide()
	if d.hear("a", report{NodeID: "A", Draining: true}) {
		t.Fatal("a promise was kept by a node that leaves")
	}
}

func TestAnOvertakenReportDoesNotHideThatItsSenderStops(t *testing.T) {
	table := memberTable{life: time.Minute, seen: map[string]sighting{}}
	now := time.Now()
	table.put(report{NodeID: "b", DirectoryID: "d", Clock: now, Draining: true}, true)
	table.put(report{NodeID: "b", DirectoryID: "d", Clock: now.Add(-time.Millisecond)}, true)
	if s, _ := table.get("b"); !s.leaving() {
		t.Fatal("the older report won")
	}
	table.put(report{NodeID: "b", DirectoryID: "d", Clock: now.Add(time.Millisecond)}, true)
	if s, _ := table.get("b"); s.leaving() {
		t.Fatal("a later report did not")
	}
}
