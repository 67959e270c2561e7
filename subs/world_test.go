package subs

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/stream"
)

const epoch stream.Time = 1896091200000

// world is a View in memory: it carries out what the rules decide, and lets
// tests set the time. Streams are not decided here, only what they look like.
type world struct {
	t       *testing.T
	now     stream.Time
	drawn   uint64
	streams map[stream.Name]*stream.State
	ends    map[[2]uint64]bool
	subs    map[uint64]*Subscription
	links   map[stream.Name][]StreamLink
	keys    []Key
	events  []Event
}

var _ View = (*world)(nil)

func newWorld(t *testing.T) *world {
	return &world{t: t, now: epoch, streams: map[stream.Name]*stream.State{}, ends: map[[2]uint64]bool{},
		subs: map[uint64]*Subscription{}, links: map[stream.Name][]StreamLink{}}
}

func (w *world) Lookup(id ID) *Subscription {
	for _, s := range w.subs {
		if s.ID == id && !s.Deleted {
			return s
		}
	}
	return nil
}

func (w *world) Subscription(number uint64) *Subscription { return w.subs[number] }
func (w *world) Subscriptions() int                       { return len(w.subs) }
func (w *world) Drawn() uint64                            { return w.drawn }
func (w *world) Keys() []Key                              { return w.keys }
func (w *world) LinksOf(name stream.Name) []StreamLink    { return slices.Clone(w.links[name]) }
func (w *world) Stream(name stream.Name) *stream.State    { return w.streams[name] }
func (w *world) Ends(incarnation, pos uint64) bool        { return w.ends[[2]uint64{incarnation, pos}] }

func (w *world) Link(number uint64, name stream.Name) (Link, bool) {
	for _, l := range w.links[name] {
		if l.Number == number {
			return l.Link, true
		}
	}
	return Link{}, false
}

func (w *world) LinkedAfter(number uint64, after stream.Name, limit int) (names []stream.Name) {
	for _, name := range slices.Sorted(maps.Keys(w.links)) {
		if _, ok := w.Link(number, name); ok && name > after && len(names) < limit {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) StreamsAfter(prefix string, after stream.Name, limit int) (names []stream.Name) {
	for _, name := range slices.Sorted(maps.Keys(w.streams)) {
		if name > after && strings.HasPrefix(string(name), prefix) && len(names) < limit {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) Unlinked(name stream.Name, _ bool) (numbers []uint64) {
	for _, number := range slices.Sorted(maps.Keys(w.subs)) {
		if p, ok := w.subs[number].Pattern(); ok && !w.subs[number].Deleted && p.Match(name) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

func (w *world) WakeStream(name stream.Name) bool {
	for _, s := range w.subs {
		if !s.Deleted && s.Config.WakeStream == name {
			return true
		}
	}
	return false
}

func (w *world) WokenBy(name stream.Name) (numbers []uint64) {
	for _, number := range slices.Sorted(maps.Keys(w.subs)) {
		if s := w.subs[number]; !s.Deleted && s.Config.WakeStream == name {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

func (w *world) apply(c *Change) {
	w.drawn = max(w.drawn, c.Drawn)
	for _, s := range c.Subscriptions {
		w.subs[s.Number] = s
	}
	for _, l := range c.Links {
		w.links[l.Name] = slices.DeleteFunc(w.links[l.Name], func(x StreamLink) bool { return x.Number == l.Number })
		if !l.Gone {
			w.links[l.Name] = append(w.links[l.Name], StreamLink{l.Number, l.Link})
			slices.SortFunc(w.links[l.Name], func(a, b StreamLink) int { return cmp.Compare(a.Number, b.Number) })
		}
		if len(w.links[l.Name]) == 0 {
			delete(w.links, l.Name)
		}
	}
	for _, number := range c.Gone {
		delete(w.subs, number)
	}
	if c.Keys != nil {
		w.keys = c.Keys
	}
	if c.Event != nil {
		w.events = append(w.events, *c.Event)
		w.add(c.Event.Stream, len(c.Event.Body.Data))
	}
	w.check()
}

// check compares every count of pending links with the links themselves.
func (w *world) check() {
	w.t.Helper()
	for number, s := range w.subs {
		if s.Deleted {
			continue
		}
		var pending uint64
		for name := range w.links {
			if l, ok := w.Link(number, name); ok && l.pending(w.streams[name]) {
				pending++
			}
		}
		if s.Pending != pending {
			w.t.Fatalf("subscription %s counts %d pending streams, and has %d", s.ID, s.Pending, pending)
		}
	}
}

// do decides a command after some time.
func (w *world) do(after time.Duration, c Command) (Outcome, *Refusal) {
	w.t.Helper()
	w.now = w.now.Add(after)
	var change Change
	r := Decide(w, w.now, c, &change)
	w.apply(&change)
	return r.Outcome, r.Refusal
}

// must is do for a command that is not refused.
func (w *world) must(after time.Duration, c Command) Outcome {
	w.t.Helper()
	out, no := w.do(after, c)
	if no != nil {
		w.t.Fatalf("%+v: refused with %s: %v", c, no.Code, no)
	}
	return out
}

// refused is do for one that is.
func (w *world) refused(after time.Duration, c Command, want Code) *Refusal {
	w.t.Helper()
	out, no := w.do(after, c)
	if no == nil || no.Code != want {
		w.t.Fatalf("%+v: got %+v, %v; want %s", c, out, no, want)
	}
	return no
}

func (w *world) see(name stream.Name, after *stream.State, appended bool, at uint64) {
	before := w.streams[name]
	if after == nil {
		delete(w.streams, name)
	} else {
		w.streams[name] = after
	}
	var c Change
	Observe(w, w.now, Seen{Name: name, Before: before, After: after, Appended: appended, At: at}, &c)
	w.apply(&c)
}

// create makes a JSON stream with n bytes.
func (w *world) create(name stream.Name, n int) {
	w.drawn++
	s := &stream.State{Incarnation: w.drawn, ContentType: "application/json", Pos: uint64(n)}
	w.ends[[2]uint64{w.drawn, uint64(n)}] = true
	w.see(name, s, n > 0, 0)
}

// add appends n bytes.
func (w *world) add(name stream.Name, n int) {
	s := *w.streams[name]
	at := s.Pos
	s.Pos += uint64(n)
	w.ends[[2]uint64{s.Incarnation, s.Pos}] = true
	w.see(name, &s, true, at)
}

func (w *world) drop(name stream.Name) { w.see(name, nil, false, 0) }

func (w *world) tail(name stream.Name) stream.Offset { return w.streams[name].Tail() }

func (w *world) acked(id ID, name stream.Name) stream.Offset {
	w.t.Helper()
	l, ok := w.Link(w.Lookup(id).Number, name)
	if !ok {
		w.t.Fatalf("%s is not linked to %s", id, name)
	}
	return l.Acked
}

func webhook(pattern string, streams ...stream.Name) Config {
	return Config{Kind: Webhook, Pattern: pattern, Streams: streams, URL: "https://h.example/", LeaseTTL: 2 * time.Second}
}

func pull(pattern string, streams ...stream.Name) Config {
	return Config{Kind: PullWake, Pattern: pattern, Streams: streams, WakeStream: "wake/pool", LeaseTTL: 2 * time.Second}
}

// subscribe creates a subscription, links what there is, and returns its number.
func (w *world) subscribe(id ID, c Config) uint64 {
	w.t.Helper()
	if no := c.Normalise(); no != nil {
		w.t.Fatal(no)
	}
	out := w.must(0, Create{ID: id, Config: c})
	for more := out.More; more; {
		more = w.must(0, Step{out.Number}).More
	}
	return out.Number
}
