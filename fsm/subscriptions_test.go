package fsm_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/stream"
	"mainstem/subs"
)

var subscribedNames = []stream.Name{"e/a", "e/b", "e/c/d", "f/a", "g", "w/1", "w/2"}

// decide applies one command about subscriptions.
func (n *node) decide(c subs.Command) (subs.Outcome, *subs.Refusal) {
	n.t.Helper()
	out, no, err := subs.Read(n.apply(subs.Wrap(c))[0])
	if err != nil {
		n.t.Fatal(err)
	}
	return out, no
}

// subscribe creates a subscription and links what there is.
func (n *node) subscribe(id subs.ID, c subs.Config) uint64 {
	n.t.Helper()
	if no := c.Normalise(); no != nil {
		n.t.Fatal(no)
	}
	out, no := n.decide(subs.Create{ID: id, Config: c, Base: "http://h/v1/stream"})
	if no != nil {
		n.t.Fatal(no)
	}
	for more := out; more.More; {
		more, _ = n.decide(subs.Step{Number: out.Number})
	}
	return out.Number
}

func json(name stream.Name, text string) stream.Create {
	body, err := stream.Frame("application/json", []byte(text))
	if err != nil {
		panic(err)
	}
	return stream.Create{Name: name, ContentType: "application/json", Body: body}
}

func addJSON(name stream.Name, text string) stream.Append {
	return stream.Append{Name: name, ContentType: "application/json", Body: json(name, text).Body}
}

// dice makes commands that are likely to mean something to a node as it is.
type dice struct {
	*rand.Rand
	n     *node
	drawn int
}

func (g *dice) name() stream.Name { return subscribedNames[g.IntN(len(subscribedNames))] }
func (g *dice) id() subs.ID       { return subs.ID(rune('p' + g.IntN(5))) }

func (g *dice) wakeID() string {
	g.drawn++
	return fmt.Sprintf("w_%d", g.drawn)
}

func (g *dice) streamCommand() stream.Command {
	name := g.name()
	switch k := g.IntN(20); {
	case k < 4:
		c := json(name, []string{`[]`, `[1]`, `[{},2]`}[g.IntN(3)])
		if g.IntN(4) == 0 {
			c.Lifetime = ttl(g.n.t, "2")
		}
		return c
	case k < 6:
		f := forkOf(name, g.name(), nil, 0)
		if g.IntN(2) == 0 {
			f.Body = stream.Payload{Data: []byte(`[7]`), Raw: true}
		}
		if g.IntN(3) == 0 {
			f.Fork.Offset, f.Fork.SubOffset = &stream.Offset{}, 1
		}
		return f
	case k < 16:
		c := addJSON(name, `[1]`)
		c.Close = g.IntN(25) == 0
		return c
	case k < 18:
		return stream.Delete{Name: name}
	default:
		return stream.Expire{Name: name}
	}
}

func (g *dice) command() stream.Command {
	if g.IntN(2) == 0 {
		return g.streamCommand()
	}
	id := g.id()
	s, ok := g.n.Subscription(id)
	if !ok || g.IntN(12) == 0 {
		c := subs.Config{Kind: subs.Kind(1 + g.IntN(2)), URL: "https://h/", WakeStream: subscribedNames[5+g.IntN(2)], LeaseTTL: 2 * time.Second}
		if g.IntN(3) > 0 {
			c.Pattern = []string{"e/*", "**", "e/**", "*/a", "w/*"}[g.IntN(5)]
		}
		if g.IntN(3) == 0 || c.Pattern == "" {
			c.Streams = []stream.Name{subscribedNames[g.IntN(5)], "w/1"}
		}
		if c.Normalise() != nil {
			return g.streamCommand()
		}
		return subs.Wrap(subs.Create{ID: id, Config: c})
	}
	generation, jitter := s.Generation, g.IntN(401)-200
	if g.IntN(10) == 0 {
		generation--
	}
	ack := subs.Ack{Number: s.Number, Via: s.Config.Kind, Token: s.Generation, Generation: generation, WakeID: s.WakeID, Done: g.IntN(2) == 0, Delivery: g.IntN(4) == 0}
	links, err := g.n.Links(s.Number, 100)
	if err != nil {
		g.n.t.Fatal(err)
	}
	for _, l := range links {
		if g.IntN(3) > 0 {
			ack.Acks = append(ack.Acks, subs.Cursor{Stream: l.Name, Offset: l.Tail})
		}
	}
	return subs.Wrap([]subs.Command{
		subs.Wake{Number: s.Number, WakeID: g.wakeID(), Jitter: jitter},
		subs.Wake{Number: s.Number, WakeID: g.wakeID(), Jitter: jitter},
		subs.Attempt{Number: s.Number, Generation: generation, WakeID: s.WakeID},
		subs.Delivered{Number: s.Number, Generation: generation, WakeID: s.WakeID},
		subs.DeliveryFailed{Number: s.Number, Generation: generation, WakeID: s.WakeID, Jitter: jitter},
		subs.Lapse{Number: s.Number, Generation: generation, Jitter: jitter},
		subs.Step{Number: uint64(1 + g.IntN(int(s.Number)))},
		subs.Claim{ID: id, Worker: "one", WakeID: g.wakeID()},
		subs.Claim{ID: id, Worker: "two", WakeID: g.wakeID()},
		subs.Release{Number: s.Number, Token: generation, Generation: generation, WakeID: s.WakeID},
		subs.AddStreams{ID: id, Streams: []stream.Name{g.name(), g.name()}},
		subs.RemoveStream{ID: id, Stream: g.name()},
		ack, ack, ack,
		subs.Step{Number: s.Number},
		[]subs.Command{subs.Delete{ID: id}, subs.PutKey{Key: subs.Key{Kid: g.wakeID()}, Rotate: true}, subs.Step{Number: s.Number}}[g.IntN(3)],
	}[g.IntN(17)])
}

// checkCounts compares what each subscription counts with its links, and the
// links as their streams see them with those that the subscription lists.
func (n *node) checkCounts() (pending int) {
	n.t.Helper()
	n.EachSubscription(func(s *subs.Subscription) bool {
		links, err := n.Links(s.Number, 1000)
		if err != nil {
			n.t.Fatal(err)
		}
		count := uint64(0)
		for _, l := range links {
			if l.Pending {
				count++
			}
		}
		if count != s.Pending {
			n.t.Fatalf("subscription %s counts %d pending streams of %+v", s.ID, s.Pending, links)
		}
		pending += int(count)
		return true
	})
	return pending
}

// TestSubscriptionsAreEqualHoweverEntriesAreGrouped: batched, one by one, with
// cold caches, and across restarts.
func TestSubscriptionsAreEqualHoweverEntriesAreGrouped(t *testing.T) {
	for seed := range uint64(4) {
		one := newNode(t)
		g := &dice{Rand: rand.New(rand.NewPCG(seed, 9)), n: one}
		var logs []*raft.Log
		var want []any
		pending, accepted := 0, 0
		for range 500 {
			batch := []stream.Command{g.command()}
			for g.IntN(2) == 0 {
				batch = append(batch, g.command())
			}
			one.now += stream.Time(g.IntN(700))
			one.index++
			l := entry(one.index, one.now, batch...)
			logs = append(logs, l)
			results := one.Apply(l).([]stream.Result)
			want = append(want, results)
			pending += one.checkCounts()
			for _, r := range results {
				if r.Outcome.Answer != nil {
					if _, no, err := subs.Read(r); err == nil && no == nil {
						accepted++
					}
				}
			}
		}
		if pending < 200 || accepted < 200 {
			t.Fatalf("seed %d: %d times pending, %d commands accepted: the script proves little", seed, pending, accepted)
		}
		for variant := range uint64(4) {
			fs, cfg := vfs.NewMem(), fsm.Config{}
			if variant == 1 {
				cfg.CachedStreams = 1
			}
			other := openNode(t, fs, cfg)
			h := rand.New(rand.NewPCG(seed, variant))
			var got []any
			for rest := logs; len(rest) > 0; {
				k := min(1+h.IntN(30), len(rest))
				if variant == 2 {
					k = len(rest)
				}
				got = append(got, other.ApplyBatch(rest[:k])...)
				rest = rest[k:]
				if variant == 3 && h.IntN(4) == 0 { // a machine anew over the same copy
					m, err := fsm.New(other.engine, cfg)
					if err != nil {
						t.Fatal(err)
					}
					other.Machine = m
				}
			}
			for i := range want {
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Fatalf("seed %d, variant %d: entry %d gave\n%s\nwant\n%s", seed, variant, i, show(got[i]), show(want[i]))
				}
			}
			if got, want := other.checksum(), one.checksum(); got != want {
				t.Fatalf("seed %d, variant %d: %+v; one by one %+v", seed, variant, got, want)
			}
			if got, want := other.due(), one.due(); !slices.Equal(got, want) {
				t.Fatalf("seed %d, variant %d: due %v, want %v", seed, variant, got, want)
			}
		}
	}
}

func show(results any) (text string) {
	for _, r := range results.([]stream.Result) {
		text += fmt.Sprintf("%+v %s; ", r.Outcome.Next, r.Outcome.Answer)
	}
	return text
}

func (n *node) due() (list []string) {
	for _, s := range n.Due(1<<60, 100) {
		w, at := s.Next()
		list = append(list, fmt.Sprint(s.Number, w, at))
	}
	return list
}

func TestSubscriptionsTravelWithASnapshot(t *testing.T) {
	fs := vfs.NewMem()
	from := openNode(t, fs, fsm.Config{})
	from.must(json("e/a", `[]`))
	n := from.subscribe("s", subs.Config{Kind: subs.Webhook, Pattern: "e/*", URL: "https://h/"})
	from.must(addJSON("e/a", `[1]`))
	if out, no := from.decide(subs.Wake{Number: n, WakeID: "w_1"}); no != nil || !out.Woke {
		t.Fatalf("%+v, %v", out, no)
	}
	from.decide(subs.DeliveryFailed{Number: n, Generation: 1, WakeID: "w_1", Jitter: 100})
	from.decide(subs.PutKey{Key: subs.Key{Kid: "k", Secret: []byte("x")}})

	snapshots := openSnapshots(t, fs, "snapshots")
	persist(t, from, snapshots, from.index, 1)
	want, _ := from.Subscription("s")
	keys := from.SigningKeys()

	to := from // goes on, and back
	to.decide(subs.Delete{ID: "s"})
	to.decide(subs.PutKey{Key: subs.Key{Kid: "l"}, Rotate: true})
	to.subscribe("lost", subs.Config{Kind: subs.Webhook, Pattern: "**", URL: "https://h/"})
	bell := to.SubscriptionsBell()
	_, source, err := snapshots.Open(newestSnapshot(t, snapshots))
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Restore(source); err != nil {
		t.Fatal(err)
	}
	select {
	case <-bell:
	default:
		t.Fatal("nobody was told that all is new")
	}
	if _, ok := to.Subscription("lost"); ok {
		t.Fatal("a subscription survived the replacement of the copy")
	}
	got, _ := to.Subscription("s")
	if !reflect.DeepEqual(got, want) || got.NextAttempt != epoch.Add(1100*time.Millisecond) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(to.SigningKeys(), keys) || len(keys) != 1 {
		t.Fatal("the signing keys did not travel")
	}
	to.index, to.now = to.engine.Globals().Applied, epoch+5000
	to.must(addJSON("e/a", `[2]`))
	if out, no := to.decide(subs.Attempt{Number: n, Generation: 1, WakeID: "w_1"}); no != nil || out.WakeID != "w_1" {
		t.Fatalf("the wake cannot be sent from the new copy: %+v, %v", out, no)
	}
}

func newestSnapshot(t *testing.T, s raft.SnapshotStore) string {
	t.Helper()
	list, err := s.List()
	if err != nil || len(list) == 0 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0].ID
}

func TestABellRingsForEachChangeOfASubscription(t *testing.T) {
	n := newNode(t)
	number := n.subscribe("s", subs.Config{Kind: subs.Webhook, Pattern: "e/*", URL: "https://h/"})
	if at, ok := n.NextDue(); ok {
		t.Fatalf("something is due at %v", at)
	}
	rings := func(what string, want bool, do func()) {
		t.Helper()
		bell := n.SubscriptionsBell()
		do()
		select {
		case <-bell:
			if !want {
				t.Fatalf("%s rang", what)
			}
		default:
			if want {
				t.Fatalf("%s did not ring", what)
			}
		}
	}
	rings("an append elsewhere", false, func() { n.must(json("f/a", `[1]`)) })
	rings("the first append", true, func() { n.must(json("e/a", `[1]`)) })
	rings("an append to what is pending", false, func() { n.must(addJSON("e/a", `[2]`)) })
	if due := n.Due(n.now, 10); len(due) != 1 || due[0].Number != number {
		t.Fatalf("due are %v", due)
	}
	before, _ := n.SubscriptionByNumber(number)
	rings("a refused claim", false, func() { n.decide(subs.Claim{ID: "s", Worker: "x", WakeID: "w"}) })
	if after, _ := n.SubscriptionByNumber(number); after != before {
		t.Fatal("a command that changed nothing put another in its place")
	}
	rings("a wake", true, func() { n.decide(subs.Wake{Number: number, WakeID: "w"}) })
	if due := n.Due(n.now, 10); len(due) != 0 {
		t.Fatalf("due are %v", due)
	}
	if at, ok := n.NextDue(); !ok || at != n.now.Add(subs.LeaseTTLDefault) {
		t.Fatalf("next is %v, %v; want the end of the lease", at, ok)
	}
	rings("its deletion", true, func() { n.decide(subs.Delete{ID: "s"}) })
	if _, ok := n.SubscriptionByNumber(number); ok {
		t.Fatal("a deleted subscription is found")
	}
	if w, _ := n.Due(n.now, 10)[0].Next(); w != subs.DoStep {
		t.Fatalf("the tombstone is owed %v, want a step", w)
	}
	n.decide(subs.Step{Number: number})
	if due := n.Due(1<<60, 10); len(due) != 0 {
		t.Fatalf("due are %v after the last step", due)
	}
}

func TestCrowdedListingsShowPendingStreamsFirst(t *testing.T) {
	n := newNode(t)
	var names []stream.Name
	for i := range 30 {
		names = append(names, stream.Name(fmt.Sprintf("e/%02d", i)))
		n.must(json(names[i], `[]`))
	}
	number := n.subscribe("s", subs.Config{Kind: subs.Webhook, Pattern: "e/*", URL: "https://h/"})
	for _, i := range []int{3, 12, 29} {
		n.must(addJSON(names[i], `[1]`))
	}
	for limit, want := range map[int]int{100: 30, 30: 30, 29: 3, 5: 3, 2: 2} {
		links, err := n.Links(number, limit)
		if err != nil || len(links) != want {
			t.Fatalf("by %d: got %d links, %v; want %d", limit, len(links), err, want)
		}
		if want <= 3 && (!links[0].Pending || links[0].Name != "e/03") {
			t.Fatalf("by %d: got %+v first", limit, links[0])
		}
	}
}

// TestAStreamExpiresForItsSubscribersToo by the sweep's own command.
func TestAStreamExpiresForItsSubscribersToo(t *testing.T) {
	n := newNode(t)
	c := json("e/a", `[1]`)
	c.Lifetime = ttl(t, "1")
	number := n.subscribe("s", subs.Config{Kind: subs.Webhook, Pattern: "e/*", URL: "https://h/"})
	n.must(c)
	n.now += 1500
	err := n.apply(stream.Expire{Name: "e/a"})[0].Rejection
	if s, _ := n.SubscriptionByNumber(number); s.Pending != 0 || err == nil {
		t.Fatalf("got %+v and %v", s, err)
	}
	if links, err := n.Links(number, 10); err != nil || len(links) != 0 {
		t.Fatalf("links %v, %v", links, err)
	}
}

// besides is a node with count subscriptions that match nothing, and an entry of
// appends to others' streams.
func besides(t testing.TB, count int) (apply func()) {
	n := newNode(t)
	var creates, steps []stream.Command
	for i := range count {
		c := subs.Config{Kind: subs.Webhook, Pattern: fmt.Sprintf("tenant-%d/**/events/*", i), URL: "https://h/"}
		if no := c.Normalise(); no != nil {
			t.Fatal(no)
		}
		creates = append(creates, subs.Wrap(subs.Create{ID: subs.ID(fmt.Sprint(i)), Config: c}))
		steps = append(steps, subs.Wrap(subs.Step{Number: uint64(i + 1)}))
	}
	n.apply(creates...)
	n.apply(steps...)
	if got := n.SubscriptionFigures().Count; got != count || len(n.Due(1<<60, 1)) != 0 {
		t.Fatalf("%d subscriptions of %d, and %v due", got, count, n.Due(1<<60, 1))
	}
	var batch []stream.Command
	for i := range 100 {
		name := stream.Name(fmt.Sprintf("bench/%d/events", i))
		n.must(create(name, "x"))
		batch = append(batch, add(name, "a payload of some thirty bytes."))
	}
	e := entry(0, epoch, batch...)
	return func() {
		n.index++
		e.Index = n.index
		n.Apply(e)
	}
}

// TestAppendsPayNothingForSubscriptionsThatDoNotMatch counts what they allocate,
// and logs the least times, taken in turns so that a busy machine slows both.
func TestAppendsPayNothingForSubscriptionsThatDoNotMatch(t *testing.T) {
	without, with := besides(t, 0), besides(t, 10_000)
	for range 50 { // what is made once is made
		without()
		with()
	}
	a, b := testing.AllocsPerRun(200, without), testing.AllocsPerRun(200, with)
	if b > a+50 { // the store works beside the test
		t.Fatalf("100 appends allocate %v times, and %v times beside 10,000 subscriptions", a, b)
	}
	least := func(apply func(), before time.Duration) time.Duration {
		begin := time.Now()
		for range 10 {
			apply()
		}
		return min(time.Since(begin), before)
	}
	fast, slow := time.Hour, time.Hour
	for range 100 {
		fast, slow = least(without, fast), least(with, slow)
	}
	t.Logf("1000 appends take %v, and %v beside 10,000 subscriptions: %+.1f %%; %v and %v allocations each 100",
		fast, slow, 100*(float64(slow)/float64(fast)-1), a, b)
}

func BenchmarkAppendsBesideSubscriptions(b *testing.B) {
	for _, count := range []int{0, 10_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			apply := besides(b, count)
			b.ReportAllocs()
			for b.Loop() {
				apply()
			}
		})
	}
}
