package subs

import (
	"fmt"
	"testing"

	"mainstem/stream"
)

func TestAGlobLinkEndsWithItsStreamAndAnExplicitOneStays(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 4)
	n := w.subscribe("glob", webhook("e/*"))
	x := w.subscribe("explicit", webhook("", "e/a", "e/none"))
	old := w.tail("e/a")
	w.add("e/a", 4)
	w.drop("e/a")
	if _, ok := w.Link(n, "e/a"); ok || w.subs[n].Pending != 0 {
		t.Fatalf("got %+v; want the link gone and nothing pending", w.subs[n])
	}
	if w.acked("explicit", "e/a") != old || w.subs[x].Pending != 0 {
		t.Fatalf("got %v and %+v; want the cursor kept and nothing pending", w.acked("explicit", "e/a"), w.subs[x])
	}
	w.create("e/a", 3)
	if got := w.acked("glob", "e/a"); got.Pos != 0 || got.Incarnation != w.tail("e/a").Incarnation {
		t.Fatalf("the new stream is linked at %v, want its start", got)
	}
	if w.subs[n].Pending != 1 || w.subs[x].Pending != 1 {
		t.Fatalf("pending %d and %d, want all of the new stream for both", w.subs[n].Pending, w.subs[x].Pending)
	}
	w.create("e/none", 2)
	if w.subs[x].Pending != 2 || !w.acked("explicit", "e/none").IsZero() {
		t.Fatalf("a stream that was asked for before it was there: %+v", w.subs[x])
	}
	// An offset of the earlier life is refused, and one of the new life is taken.
	w.must(0, Wake{Number: x, WakeID: "w1"})
	ack := func(o stream.Offset) Ack {
		return Ack{Number: x, Via: Webhook, Token: 1, Generation: 1, WakeID: "w1", Acks: []Cursor{{"e/a", o}}}
	}
	w.refused(0, ack(stream.Offset{Incarnation: old.Incarnation, Pos: 8}), InvalidOffset)
	w.must(0, ack(w.tail("e/a")))
	if w.subs[x].Pending != 1 {
		t.Fatalf("got %+v", w.subs[x])
	}
}

func TestALinkWithoutPendingWorkEndsWithItsStreamToo(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 4)
	w.subscribe("s", webhook("e/*"))
	w.drop("e/a")
	if len(w.links) != 0 {
		t.Fatalf("links left: %v", w.links)
	}
}

func TestAStreamReplacedInOneCommandIsANewOne(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 4)
	n := w.subscribe("s", webhook("e/*"))
	w.create("e/a", 6) // over the one that was there, as a creation over an expired one is
	if got := w.acked("s", "e/a"); got != (stream.Offset{Incarnation: w.tail("e/a").Incarnation}) || w.subs[n].Pending != 1 {
		t.Fatalf("linked at %v with %d pending", got, w.subs[n].Pending)
	}
}

func TestAForkIsLinkedAtItsDivergence(t *testing.T) {
	w := newWorld(t)
	w.create("src", 10)
	n := w.subscribe("s", webhook("e/*"))
	w.drawn++
	fork := &stream.State{Incarnation: w.drawn, ContentType: "application/json", Base: 10, Pos: 10, Refs: 0,
		Spans: []stream.Span{{Incarnation: 1, From: 0, To: 10}}, Origin: &stream.Origin{Source: "src", SourceIncarnation: 1, Offset: stream.Offset{Incarnation: 1, Pos: 10}}}
	w.see("e/fork", fork, false, 0)
	if _, ok := w.Link(n, "e/fork"); ok {
		t.Fatal("what a fork inherits was taken for an append")
	}
	w.add("e/fork", 5)
	if got, want := w.acked("s", "e/fork"), (stream.Offset{Incarnation: 1, Pos: 10}); got != want || w.subs[n].Pending != 1 {
		t.Fatalf("linked at %v with %d pending, want %v", got, w.subs[n].Pending, want)
	}
	soft := *w.streams["e/fork"]
	soft.Deleted = true
	w.see("e/fork", &soft, false, 0)
	if _, ok := w.Link(n, "e/fork"); ok || w.subs[n].Pending != 0 {
		t.Fatal("a soft-deleted stream is still linked")
	}
}

func TestExplicitTakesPrecedenceAndLeavesTheGlobBehind(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 4)
	w.create("m/b", 4)
	n := w.subscribe("s", webhook("e/*"))
	w.add("e/a", 1)
	before := w.acked("s", "e/a")
	add := AddStreams{ID: "s", Streams: []stream.Name{"e/a", "m/b", "m/none"}}
	w.must(0, add)
	w.must(0, add) // idempotent
	if l, _ := w.Link(n, "e/a"); !l.Explicit || l.Acked != before {
		t.Fatalf("got %+v, want explicit, with its cursor kept", l)
	}
	if w.acked("s", "m/b") != w.tail("m/b") || !w.acked("s", "m/none").IsZero() {
		t.Fatal("new explicit streams are not linked at their tail")
	}
	for _, name := range []stream.Name{"e/a", "m/b", "m/none", "absent"} {
		w.must(0, RemoveStream{ID: "s", Stream: name})
	}
	if l, ok := w.Link(n, "e/a"); !ok || l.Explicit || l.Acked != before || w.subs[n].Pending != 1 {
		t.Fatalf("got %+v, %v; want the glob's link, as it was", l, ok)
	}
	if len(w.links) != 1 {
		t.Fatalf("links left: %v", w.links)
	}
	w.must(0, RemoveStream{ID: "s", Stream: "e/a"}) // not explicit any more
	if _, ok := w.Link(n, "e/a"); !ok {
		t.Fatal("the glob's link went with a removal that had nothing to remove")
	}
}

func TestReconfirmingComparesTheNormalisedConfiguration(t *testing.T) {
	w := newWorld(t)
	base := Config{Kind: Webhook, Pattern: "a/*", Streams: []stream.Name{"y", "x", "x"}, URL: "https://h/", Description: "d"}
	n := w.subscribe("s", base)
	same := Config{Kind: Webhook, Pattern: "/a/*", Streams: []stream.Name{"x", "y"}, URL: "https://h/", Description: "d", LeaseTTL: LeaseTTLDefault, WakeStream: "ignored"}
	if no := same.Normalise(); no != nil {
		t.Fatal(no)
	}
	if out := w.must(0, Create{ID: "s", Config: same, Base: "http://elsewhere"}); out.Created || out.Number != n {
		t.Fatalf("got %+v, want the one that is there", out)
	}
	for name, change := range map[string]func(*Config){
		"type":        func(c *Config) { c.Kind, c.WakeStream = PullWake, "w" },
		"pattern":     func(c *Config) { c.Pattern = "a/**" },
		"streams":     func(c *Config) { c.Streams = []stream.Name{"x"} },
		"url":         func(c *Config) { c.URL = "https://other/" },
		"lease":       func(c *Config) { c.LeaseTTL = LeaseTTLMin },
		"description": func(c *Config) { c.Description = "" },
	} {
		other := same
		change(&other)
		if no := other.Normalise(); no != nil {
			t.Fatal(no)
		}
		if _, no := w.do(0, Create{ID: "s", Config: other}); no == nil || no.Code != SubscriptionAlreadyExists {
			t.Errorf("another %s: got %v", name, no)
		}
	}
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"no type":           {Pattern: "a"},
		"nothing to follow": {Kind: Webhook, URL: "https://h/"},
		"no url":            {Kind: Webhook, Pattern: "a"},
		"no wake stream":    {Kind: PullWake, Pattern: "a"},
		"short lease":       {Kind: Webhook, Pattern: "a", URL: "u", LeaseTTL: LeaseTTLMin - 1},
		"long lease":        {Kind: Webhook, Pattern: "a", URL: "u", LeaseTTL: LeaseTTLMax + 1},
		"bad glob":          {Kind: Webhook, Pattern: "a*", URL: "u"},
		"too many streams":  {Kind: Webhook, Streams: manyNames(StreamsMax + 1), URL: "u"},
		"its own events":    {Kind: PullWake, Streams: []stream.Name{"w"}, WakeStream: "w"},
	} {
		if no := c.Normalise(); no == nil || no.Code != InvalidRequest || no.Error() == "" {
			t.Errorf("%s: got %v, want INVALID_REQUEST", name, no)
		}
	}
}

func manyNames(n int) (names []stream.Name) {
	for i := range n {
		names = append(names, stream.Name(stream.Offset{Pos: uint64(i)}.String()))
	}
	return names
}

func TestTheFirstKeyWinsAndARotatedOneIsKeptForADay(t *testing.T) {
	w := newWorld(t)
	put := func(kid string, rotate bool) string {
		return w.must(0, PutKey{Key: Key{Kid: kid, Public: []byte{1}, Secret: []byte{2}}, Rotate: rotate}).Kid
	}
	if a, b := put("a", false), put("b", false); a != "a" || b != "a" {
		t.Fatalf("got %s and %s, want the first", a, b)
	}
	if got := put("b", true); got != "b" || len(w.keys) != 2 || w.keys[0].Secret != nil || w.keys[0].RetiredAt != w.now || w.keys[1].RetiredAt != 0 {
		t.Fatalf("got %s and %+v; want b, and the public half of a", got, w.keys)
	}
	if got := put("b", true); got != "b" || len(w.keys) != 2 {
		t.Fatalf("a key was added twice: %v", w.keys)
	}
	w.now = w.now.Add(KeyRetention)
	if put("c", true); len(w.keys) != 2 || w.keys[0].Kid != "b" {
		t.Fatalf("got %v, want a gone after its retention", w.keys)
	}
	if text := fmt.Sprintf("%+v", w.keys[1]); text != "signing key c" {
		t.Fatalf("a key prints as %q", text)
	}
}
