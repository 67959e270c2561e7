package fsm_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"mainstem/stream"
	"mainstem/subs"
)

// applyWithin gives commands to the machine as one entry with limits.
func (n *node) applyWithin(l stream.Limits, commands ...stream.Command) []stream.Result {
	n.t.Helper()
	n.index++
	e := entry(n.index, n.now, commands...)
	if err := stream.Limit(e.Data, l); err != nil {
		n.t.Fatal(err)
	}
	return n.Apply(e).([]stream.Result)
}

func payload(text string) stream.Payload { return stream.Payload{Data: []byte(text)} }

// TestLimitsComeWithTheEntry and are forgotten with it; two machines that are
// given the same log refuse the same, and count the same bytes.
func TestLimitsComeWithTheEntry(t *testing.T) {
	const tight = 8
	limits := stream.Limits{StreamBytes: tight, TotalBytes: 2 * tight}
	one, two := newNode(t), newNode(t)
	for _, n := range []*node{one, two} {
		plain := func(name stream.Name, text string) stream.Append {
			return stream.Append{Name: name, ContentType: "text/plain", Body: payload(text)}
		}
		for _, name := range []stream.Name{"a", "b", "c"} {
			n.must(stream.Create{Name: name, ContentType: "text/plain"})
		}
		got := n.applyWithin(limits, plain("a", "1234567"), plain("a", "89"), plain("a", "8"), plain("b", "12345678"), plain("c", "1"))
		for i, code := range []stream.Code{0, stream.StreamFull, 0, 0, stream.StoreFull} {
			if no := got[i].Rejection; code == 0 && no != nil || code != 0 && (no == nil || no.Code != code) {
				t.Fatalf("command %d: got %v, want code %d", i, no, code)
			}
		}
		if got := n.engine.Globals().Stored; got != 2*tight {
			t.Fatalf("%d bytes are counted", got)
		}
		n.must(plain("c", "1")) // an entry without limits
		n.must(stream.Create{Name: "f", Fork: &stream.Fork{Source: "a"}})
		n.must(stream.Delete{Name: "a"})
		n.must(stream.Delete{Name: "f"})
		n.must(stream.Delete{Name: "b"})
		if got := n.engine.Globals().Stored; got != 1 {
			t.Fatalf("%d bytes are counted, one is there", got)
		}
	}
	if a, b := one.checksum(), two.checksum(); a != b {
		t.Fatalf("the copies differ: %v and %v", a, b)
	}
}

// TestEveryEnvelopeOfABundleHasItsLimits.
func TestEveryEnvelopeOfABundleHasItsLimits(t *testing.T) {
	n := newNode(t)
	n.must(stream.Create{Name: "a", ContentType: "text/plain"})
	one := entry(0, n.now, stream.Append{Name: "a", ContentType: "text/plain", Body: payload("1234")}).Data
	two := entry(0, n.now, stream.Append{Name: "a", ContentType: "text/plain", Body: payload("5")}).Data
	bundle := stream.Bundle([][]byte{one, two})
	if err := stream.Limit(bundle, stream.Limits{StreamBytes: 4}); err != nil {
		t.Fatal(err)
	}
	n.index++
	results := n.Apply(&raft.Log{Index: n.index, Term: 1, Type: raft.LogCommand, Data: bundle}).([][]stream.Result)
	if results[0][0].Rejection != nil || results[1][0].Rejection == nil || results[1][0].Rejection.Code != stream.StreamFull {
		t.Fatalf("got %+v", results)
	}
}

// TestAFullWakeStreamTakesItsEventsNevertheless: limits are for clients, and a wake
// without its event would reach nobody.
func TestAFullWakeStreamTakesItsEventsNevertheless(t *testing.T) {
	n := newNode(t)
	n.must(json("w/1", `[1]`))
	number := n.subscribe("s", subs.Config{Kind: subs.PullWake, Pattern: "e/*", WakeStream: "w/1"})
	n.must(json("e/a", `[1]`))
	before := n.engine.Globals().Stored
	result := n.applyWithin(stream.Limits{StreamBytes: 1, TotalBytes: 1}, subs.Wrap(subs.Wake{Number: number, WakeID: "w_1"}))[0]
	if out, no, err := subs.Read(result); err != nil || no != nil || !out.Woke {
		t.Fatalf("got %+v, %v, %v", out, no, err)
	}
	if _, all := n.readAll("w/1", 1000); !strings.Contains(all, `"type":"wake"`) {
		t.Fatalf("the wake stream holds %s", all)
	}
	if n.engine.Globals().Stored <= before {
		t.Fatal("the event is not counted")
	}
	if got := n.applyWithin(stream.Limits{StreamBytes: 1}, addJSON("w/1", `[2]`))[0]; got.Rejection == nil {
		t.Fatal("the limits are gone with the event")
	}
}
