package subs

import (
	"strings"
	"testing"
	"time"

	"mainstem/stream"
)

func TestAStreamIsLinkedAtItsTailByCreationAndBeforeItsAppendLater(t *testing.T) {
	w := newWorld(t)
	w.create("events/old", 10)
	w.create("other/old", 10)
	n := w.subscribe("s", webhook("events/*"))
	if got := w.acked("s", "events/old"); got != w.tail("events/old") {
		t.Fatalf("an existing stream is linked at %v, want its tail", got)
	}
	if _, ok := w.Link(n, "other/old"); ok {
		t.Fatal("a stream that does not match is linked")
	}
	w.create("events/empty", 0)
	if _, ok := w.Link(n, "events/empty"); ok {
		t.Fatal("an empty creation, which is no append, linked a stream")
	}
	w.create("events/new", 7)
	if got := w.acked("s", "events/new"); got.Pos != 0 || got.Incarnation == 0 {
		t.Fatalf("a stream created with a body is linked at %v, want its start", got)
	}
	w.add("events/empty", 3)
	if got := w.subs[n].Pending; got != 2 {
		t.Fatalf("%d streams are pending, want the two that were appended to", got)
	}
}

func TestAnAppendBeforeItsStepLinksAtTheTailOfCreation(t *testing.T) {
	w := newWorld(t)
	w.create("events/a", 10)
	c := webhook("events/*")
	out := w.must(0, Create{ID: "s", Config: c})
	at := w.tail("events/a")
	w.add("events/a", 5)
	if w.must(0, Step{out.Number}); w.acked("s", "events/a") != at {
		t.Fatalf("linked at %v, want %v, where it was at the creation", w.acked("s", "events/a"), at)
	}
	if w.subs[out.Number].Pending != 1 || w.subs[out.Number].Linking {
		t.Fatalf("got %+v; want one pending stream and nothing left to link", w.subs[out.Number])
	}
}

func TestLinkingAndCleaningAreDoneInBoundedSteps(t *testing.T) {
	w := newWorld(t)
	for i := range 3*stepStreams + 5 {
		w.create(stream.Name("e/"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26)), 1)
	}
	streams := len(w.streams)
	out := w.must(0, Create{ID: "s", Config: webhook("e/*")})
	steps := 0
	for more := out.More; more; steps++ {
		before := len(w.links)
		more = w.must(0, Step{out.Number}).More
		if got := len(w.links) - before; got > stepStreams {
			t.Fatalf("one step linked %d streams", got)
		}
	}
	if len(w.links) != streams || steps != streams/stepStreams+1 {
		t.Fatalf("%d steps linked %d of %d streams", steps, len(w.links), streams)
	}
	w.must(0, Delete{"s"})
	w.refused(0, AddStreams{ID: "s", Streams: []stream.Name{"x"}}, SubscriptionNotFound)
	for steps = 0; len(w.subs) > 0; steps++ {
		w.must(0, Step{out.Number})
	}
	if len(w.links) != 0 || steps != streams/stepStreams+1 {
		t.Fatalf("%d links are left after %d steps", len(w.links), steps)
	}
}

func TestAWebhookWakeIsOneGenerationUntilItIsDone(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 4)
	n := w.subscribe("s", webhook("e/*"))
	if out := w.must(0, Wake{Number: n, WakeID: "w1"}); out.Woke {
		t.Fatal("woke without pending work")
	}
	w.add("e/a", 4)
	if work, at := w.subs[n].Next(); work != DoWake || at != 0 {
		t.Fatalf("due is %v at %v, want a wake at once", work, at)
	}
	out := w.must(0, Wake{Number: n, WakeID: "w1"})
	if !out.Woke || out.Generation != 1 || out.WakeID != "w1" {
		t.Fatalf("got %+v", out)
	}
	if out := w.must(0, Wake{Number: n, WakeID: "w2"}); out.Woke {
		t.Fatal("a second wake began while the first is in flight")
	}
	snapshot := w.tail("e/a")
	w.add("e/a", 4) // after the snapshot
	out = w.must(time.Millisecond, Ack{Number: n, Generation: 1, WakeID: "w1", Acks: []Cursor{{"e/a", snapshot}}, Done: true, Delivery: true})
	if !out.Pending || w.acked("s", "e/a") != snapshot {
		t.Fatalf("got %+v and %v; want more work, and the snapshot's tail acked", out, w.acked("s", "e/a"))
	}
	if out := w.must(0, Wake{Number: n, WakeID: "w2"}); out.Generation != 2 {
		t.Fatalf("got %+v, want generation 2", out)
	}
}

func TestRetriesBackOffAndKeepTheWake(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 0)
	n := w.subscribe("s", webhook("", "e/a"))
	w.add("e/a", 1)
	w.must(0, Wake{Number: n, WakeID: "w1"})
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		w.must(0, DeliveryFailed{Number: n, Generation: 1, WakeID: "w1", Jitter: 200})
		s := w.subs[n]
		pause := time.Duration(s.NextAttempt-w.now) * time.Millisecond
		if pause != want*time.Second*12/10 || s.Status() != "failed" || s.LeaseUntil != 0 {
			t.Fatalf("failure %d: pause %v and %+v; want %v more a fifth, and no lease", i, pause, s, want*time.Second)
		}
		if work, at := s.Next(); work != DoSend || at != s.NextAttempt {
			t.Fatalf("due is %v at %v", work, at)
		}
		w.refused(pause-time.Millisecond, Attempt{n, 1, "w1"}, Fenced)
		if out := w.must(time.Millisecond, Attempt{n, 1, "w1"}); out.Generation != 1 || out.WakeID != "w1" {
			t.Fatalf("got %+v, want the same wake", out)
		}
	}
	w.must(0, Delivered{n, 1, "w1"})
	if s := w.subs[n]; s.Failed || s.Retries != 0 || s.Phase != Taken {
		t.Fatalf("got %+v, want the failures forgotten", s)
	}
	w.must(0, DeliveryFailed{Number: n, Generation: 1, WakeID: "w1"})
	if w.subs[n].Phase != Taken {
		t.Fatal("a late failure undid a delivery")
	}
}

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	for failures := range uint32(100) {
		for _, jitter := range []int{-1 << 40, -200, 0, 200, 1 << 40} {
			got := Backoff(failures, jitter)
			if got < 800*time.Millisecond || got > 72*time.Second {
				t.Fatalf("after %d failures: %v", failures, got)
			}
		}
	}
}

func TestALeaseEndsByCommandTimeAndIsExtendedByHeartbeats(t *testing.T) {
	w := newWorld(t)
	w.create("wake/pool", 0)
	w.create("e/a", 0)
	n := w.subscribe("s", pull("e/*"))
	w.add("e/a", 1)
	w.must(0, Wake{Number: n, WakeID: "w1"})
	c := w.must(0, Claim{ID: "s", Worker: "one", WakeID: "x"})
	if c.WakeID != "w1" || c.Generation != 1 {
		t.Fatalf("the claim got %+v, want the wake in flight", c)
	}
	for range 5 { // each comes before the end of the lease that the one before gave
		w.must(1999*time.Millisecond, Ack{Number: n, Via: PullWake, Token: 1, Generation: 1, WakeID: "w1"})
	}
	w.must(1999*time.Millisecond, Lapse{Number: n, Generation: 1})
	if w.subs[n].Holder != "one" {
		t.Fatal("the lease ended early")
	}
	no := w.refused(0, Claim{ID: "s", Worker: "two", WakeID: "w2"}, AlreadyClaimed)
	if no.Holder != "one" || no.Generation != 1 {
		t.Fatalf("got %+v, want the holder and its generation", no)
	}
	c = w.must(time.Millisecond, Claim{ID: "s", Worker: "two", WakeID: "w2"})
	if c.Generation != 2 || w.subs[n].Holder != "two" {
		t.Fatalf("after the lease got %+v", c)
	}
	w.refused(0, Ack{Number: n, Via: PullWake, Token: 1, Generation: 1, WakeID: "w1", Done: true}, Fenced)
	w.refused(0, Release{Number: n, Token: 1, Generation: 1, WakeID: "w1"}, Fenced)
	if len(w.events) != 2 {
		t.Fatalf("%d events, want one for each of two generations", len(w.events))
	}
}

func TestALeaseThatEndsWhileSendingCountsAsAFailure(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 0)
	n := w.subscribe("s", webhook("e/*"))
	w.add("e/a", 1)
	w.must(0, Wake{Number: n, WakeID: "w1"})
	if work, at := w.subs[n].Next(); work != DoLapse || at != w.now.Add(2*time.Second) {
		t.Fatalf("due is %v at %v", work, at)
	}
	w.must(2*time.Second, Lapse{Number: n, Generation: 1, Jitter: -200})
	s := w.subs[n]
	if s.WakeID != "" || !s.Failed || s.NextAttempt != w.now.Add(800*time.Millisecond) {
		t.Fatalf("got %+v, want no wake and a pause", s)
	}
	if out := w.must(0, Wake{Number: n, WakeID: "w2"}); out.Woke {
		t.Fatal("the pause was not kept")
	}
	if out := w.must(800*time.Millisecond, Wake{Number: n, WakeID: "w2"}); !out.Woke || out.Generation != 2 {
		t.Fatalf("got %+v", out)
	}
	w.refused(0, Delivered{n, 1, "w1"}, Fenced)
}

func TestACallbackThatOvertakesTheAnswerCounts(t *testing.T) {
	w := newWorld(t)
	w.create("e/a", 0)
	n := w.subscribe("s", webhook("e/*"))
	w.add("e/a", 1)
	w.must(0, Wake{Number: n, WakeID: "w1"})
	w.must(0, DeliveryFailed{Number: n, Generation: 1, WakeID: "w1"})
	w.must(0, Ack{Number: n, Via: Webhook, Token: 1, Generation: 1, WakeID: "w1"})
	if s := w.subs[n]; s.Failed || s.Phase != Taken || s.LeaseUntil != w.now.Add(2*time.Second) {
		t.Fatalf("got %+v, want a wake that was taken", s)
	}
	w.refused(0, Attempt{n, 1, "w1"}, Fenced)
}

func TestAnAckMovesAllCursorsOrNone(t *testing.T) {
	w := newWorld(t)
	w.create("wake/pool", 0)
	w.create("e/a", 4)
	w.create("e/b", 4)
	start := w.tail("e/a")
	n := w.subscribe("s", pull("e/*"))
	w.add("e/a", 4)
	middle := w.tail("e/a")
	w.add("e/a", 4)
	w.add("e/b", 4)
	w.must(0, Claim{ID: "s", Worker: "one", WakeID: "w1"})
	ack := func(acks ...Cursor) Ack {
		return Ack{Number: n, Via: PullWake, Token: 1, Generation: 1, WakeID: "w1", Acks: acks}
	}
	inside, beyond, newer := middle, w.tail("e/a"), stream.Offset{Incarnation: 999, Pos: 1}
	inside.Pos--
	beyond.Pos++
	for name, bad := range map[string]Cursor{
		"beyond the tail":     {"e/a", beyond},
		"inside an append":    {"e/a", inside},
		"of a later life":     {"e/a", newer},
		"of another stream":   {"e/a", w.tail("e/b")},
		"a stream not linked": {"e/none", middle},
		"before the cursor":   {"e/a", stream.Offset{}},
	} {
		no := w.refused(0, ack(Cursor{"e/b", w.tail("e/b")}, bad), InvalidOffset)
		if w.acked("s", "e/b") == w.tail("e/b") {
			t.Fatalf("%s: refused (%v), and a cursor was moved", name, no)
		}
	}
	w.must(0, ack(Cursor{"e/a", middle}, Cursor{"e/a", w.tail("e/a")}))
	w.must(0, ack(Cursor{"e/a", w.tail("e/a")})) // a repeat
	w.refused(0, ack(Cursor{"e/a", middle}), InvalidOffset)
	w.refused(0, ack(Cursor{"e/a", start}), InvalidOffset)
	done := ack(Cursor{"e/b", w.tail("e/b")})
	done.Done = true
	if out := w.must(0, done); out.Pending || w.subs[n].Pending != 0 || w.subs[n].Holder != "" {
		t.Fatalf("got %+v and %+v", out, w.subs[n])
	}
	w.refused(0, Claim{ID: "s", Worker: "one", WakeID: "w2"}, NoPendingWork)
}

func TestEndpointsAndTokensOfOthersAreRefused(t *testing.T) {
	w := newWorld(t)
	w.create("wake/pool", 0)
	w.create("e/a", 0)
	p, h := w.subscribe("p", pull("e/*")), w.subscribe("h", webhook("e/*"))
	w.add("e/a", 1)
	w.must(0, Claim{ID: "p", Worker: "one", WakeID: "w1"})
	w.must(0, Wake{Number: h, WakeID: "w2"})
	w.refused(0, Ack{Number: p, Via: Webhook, Token: 1, Generation: 1, WakeID: "w1"}, InvalidRequest)
	w.refused(0, Ack{Number: h, Via: PullWake, Token: 1, Generation: 1, WakeID: "w2"}, InvalidRequest)
	w.refused(0, Release{Number: h, Token: 1, Generation: 1, WakeID: "w2"}, InvalidRequest)
	w.refused(0, Claim{ID: "h", Worker: "one", WakeID: "w3"}, InvalidRequest)
	w.refused(0, Ack{Number: p, Via: PullWake, Token: 0, Generation: 1, WakeID: "w1"}, Fenced)
	w.refused(0, Ack{Number: p, Via: PullWake, Token: 1, Generation: 0, WakeID: "w1"}, Fenced)
	w.refused(0, Ack{Number: p, Via: PullWake, Token: 1, Generation: 1, WakeID: ""}, Fenced)
	w.must(0, Delete{"p"})
	w.refused(0, Ack{Number: p, Via: PullWake, Token: 1, Generation: 1, WakeID: "w1"}, SubscriptionNotFound)
	again := w.subscribe("p", pull("e/*"))
	w.add("e/a", 1)
	w.must(0, Claim{ID: "p", Worker: "two", WakeID: "w4"})
	w.refused(0, Ack{Number: p, Via: PullWake, Token: 1, Generation: 1, WakeID: "w1"}, SubscriptionNotFound)
	if again == p {
		t.Fatal("a number was used twice")
	}
}

func TestABadWakeStreamFailsIsRetriedAndHeals(t *testing.T) {
	for name, spoil := range map[string]func(*stream.State) *stream.State{
		"missing":      func(*stream.State) *stream.State { return nil },
		"soft-deleted": func(s *stream.State) *stream.State { s.Deleted = true; return s },
		"closed":       func(s *stream.State) *stream.State { s.Closed = true; return s },
		"expired":      func(s *stream.State) *stream.State { s.Deadline = epoch; return s },
		"not JSON":     func(s *stream.State) *stream.State { s.ContentType = "text/plain"; return s },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create("wake/pool", 0)
			good, bad := w.streams["wake/pool"], *w.streams["wake/pool"]
			w.create("e/a", 0)
			n := w.subscribe("s", pull("e/*"))
			w.see("wake/pool", spoil(&bad), false, 0)
			w.add("e/a", 1)
			if out := w.must(0, Wake{Number: n, WakeID: "w1"}); out.Woke {
				t.Fatalf("got %+v", out)
			}
			s := w.subs[n]
			if s.Status() != "failed" || s.Generation != 0 || s.NextAttempt != w.now.Add(time.Second) {
				t.Fatalf("got %+v, want failed, no generation, and a pause", s)
			}
			if c := w.must(0, Claim{ID: "s", Worker: "one", WakeID: "w2"}); c.Generation != 1 || len(w.events) != 0 {
				t.Fatalf("a worker that asks by itself got %+v and %d events", c, len(w.events))
			}
			w.must(0, Release{Number: n, Token: 1, Generation: 1, WakeID: "w2"})
			w.see("wake/pool", good, false, 0)
			if out := w.must(0, Wake{Number: n, WakeID: "w3"}); !out.Woke || len(w.events) != 1 || w.subs[n].Status() != "active" {
				t.Fatalf("after it was mended: %+v, %d events, %s", out, len(w.events), w.subs[n].Status())
			}
		})
	}
}

func TestAWakeWhoseEventIsLostBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.create("wake/pool", 0)
	w.create("e/a", 0)
	n, held := w.subscribe("s", pull("e/*")), w.subscribe("held", pull("e/*"))
	w.add("e/a", 1)
	w.must(0, Wake{Number: n, WakeID: "w1"})
	w.must(0, Wake{Number: held, WakeID: "w2"})
	w.must(0, Claim{ID: "held", Worker: "one", WakeID: "x"})
	w.drop("wake/pool")
	if s := w.subs[n]; s.WakeID != "" || w.subs[held].Holder != "one" {
		t.Fatalf("got %+v and %+v; want the unclaimed wake ended, and the claim kept", s, w.subs[held])
	}
	w.must(0, Wake{Number: n, WakeID: "w3"})
	w.create("wake/pool", 0)
	if out := w.must(2*time.Second, Wake{Number: n, WakeID: "w4"}); !out.Woke || out.Generation != 2 || len(w.events) != 3 {
		t.Fatalf("got %+v and %d events, want one in the new stream", out, len(w.events))
	}
}

func TestAWakeStreamIsLinkedByNameOnlyAndNeverToItsOwn(t *testing.T) {
	w := newWorld(t)
	w.create("wake/pool", 0)
	w.create("e/a", 0)
	all := w.subscribe("all", webhook("**"))
	if _, ok := w.Link(all, "wake/pool"); !ok {
		t.Fatal("an ordinary stream is not linked")
	}
	n := w.subscribe("s", pull("**"))
	for _, number := range []uint64{all, n} {
		if _, ok := w.Link(number, "wake/pool"); ok {
			t.Fatalf("subscription %d is linked to a wake stream by its glob", number)
		}
	}
	w.add("e/a", 1)
	w.must(0, Wake{Number: n, WakeID: "w1"})
	if _, ok := w.Link(all, "wake/pool"); ok {
		t.Fatal("the event linked its stream")
	}
	w.refused(0, AddStreams{ID: "s", Streams: []stream.Name{"wake/pool"}}, InvalidRequest)
	if no := (&Config{Kind: PullWake, Streams: []stream.Name{"a", "w"}, WakeStream: "w"}).Normalise(); no == nil {
		t.Fatal("a subscription to its own wake stream was taken")
	}
}

// TestEventsWakeThoseWhoAskedForTheStreamByName: a wake stream is a stream.
func TestEventsWakeThoseWhoAskedForTheStreamByName(t *testing.T) {
	w := newWorld(t)
	w.create("wake/pool", 0)
	w.create("e/a", 0)
	n := w.subscribe("s", pull("e/*"))
	other := w.subscribe("other", webhook("", "wake/pool"))
	w.add("e/a", 1)
	w.must(0, Wake{Number: n, WakeID: "w1"})
	if w.subs[other].Pending != 1 {
		t.Fatalf("got %+v, want pending work", w.subs[other])
	}
	want := `{"type":"wake","subscription_id":"s","stream":"e/a","generation":1,"ts":1896091200000},`
	if got := string(w.events[0].Body.Data); got != want {
		t.Fatalf("the event is %s, want %s", got, want)
	}
}
