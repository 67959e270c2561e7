package deliver

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mainstem/stream"
	"mainstem/subs"
)

// book is a replicated log of one, in memory: the real rules over maps, and
// whatever goes wrong between a proposer and a log.
type book struct {
	mu       sync.Mutex
	subs     map[uint64]*subs.Subscription
	links    map[uint64]map[stream.Name]subs.Link
	streams  map[stream.Name]*stream.State
	keys     []subs.Key
	drawn    uint64
	bell     chan struct{}
	commands []subs.Command
	events   []subs.Event
	looks    int                      // how often Due was asked
	agreed   int                      // attempts that the log has agreed to
	lose     func(subs.Command) error // the answer, after the command was carried out
	drop     func(subs.Command) error // the command itself
}

func newBook() *book {
	return &book{
		subs: map[uint64]*subs.Subscription{}, links: map[uint64]map[stream.Name]subs.Link{},
		streams: map[stream.Name]*stream.State{}, bell: make(chan struct{}),
	}
}

var errUnknown = errors.New("outcome unknown")

func (b *book) Fence(ctx context.Context) error { return ctx.Err() }

func (b *book) Submit(ctx context.Context, c stream.Command) (stream.Result, error) {
	if err := ctx.Err(); err != nil {
		return stream.Result{}, err
	}
	cmd, err := subs.DecodeCommand(c.(stream.Control).Body)
	if err != nil {
		return stream.Result{}, err
	}
	time.Sleep(time.Millisecond) // a round to a quorum
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drop != nil {
		if err := b.drop(cmd); err != nil {
			return stream.Result{}, err
		}
	}
	var change subs.Change
	result := subs.Decide(view{b}, stream.TimeOf(time.Now()), cmd, &change)
	b.commands = append(b.commands, cmd)
	switch cmd.(type) {
	case subs.Wake, subs.Attempt:
		if result.Refusal == nil && result.Outcome.Woke {
			b.agreed++
		}
	}
	b.carryOut(&change)
	if b.lose != nil {
		if err := b.lose(cmd); err != nil {
			return stream.Result{}, err
		}
	}
	return stream.Result{Outcome: stream.Outcome{Answer: subs.AppendResult(nil, result)}}, nil
}

// carryOut publishes a change and rings.
func (b *book) carryOut(c *subs.Change) {
	for _, s := range c.Subscriptions {
		b.subs[s.Number] = s
	}
	for _, l := range c.Links {
		if b.links[l.Number] == nil {
			b.links[l.Number] = map[stream.Name]subs.Link{}
		}
		if b.links[l.Number][l.Name] = l.Link; l.Gone {
			delete(b.links[l.Number], l.Name)
		}
	}
	for _, number := range c.Gone {
		delete(b.subs, number)
	}
	if c.Event != nil {
		b.events = append(b.events, *c.Event)
	}
	if c.Keys != nil {
		b.keys = c.Keys
	}
	b.drawn = max(b.drawn, c.Drawn)
	close(b.bell)
	b.bell = make(chan struct{})
}

// append adds bytes to a stream, which it makes if need be.
func (b *book) append(name stream.Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.streams[name]
	after := &stream.State{ContentType: "application/json"}
	if before == nil {
		b.drawn++
		after.Incarnation = b.drawn
	} else {
		*after = *before
	}
	seen := subs.Seen{Name: name, Before: before, After: after, Appended: true, At: after.Pos}
	after.Pos += 10
	b.streams[name] = after
	var change subs.Change
	subs.Observe(view{b}, stream.TimeOf(time.Now()), seen, &change)
	b.carryOut(&change)
}

// create makes a subscription, and returns its number.
func (b *book) create(t *testing.T, id subs.ID, config subs.Config) uint64 {
	t.Helper()
	if no := config.Normalise(); no != nil {
		t.Fatal(no)
	}
	outcome, err := propose(t.Context(), b, subs.Create{ID: id, Config: config, Base: "https://server.example/v1/stream"})
	if err != nil {
		t.Fatal(err)
	}
	return outcome.Number
}

func (b *book) webhook(t *testing.T, id subs.ID, url string, lease time.Duration, streams ...stream.Name) uint64 {
	t.Helper()
	return b.create(t, id, subs.Config{Kind: subs.Webhook, URL: url, LeaseTTL: lease, Streams: streams})
}

func (b *book) get(number uint64) *subs.Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.subs[number]
}

func (b *book) pending(number uint64) uint64 { return b.get(number).Pending }

// counted reads a number under the lock.
func (b *book) counted(n func() int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return n()
}

func (b *book) announced() int { return b.counted(func() int { return len(b.events) }) }
func (b *book) looked() int    { return b.counted(func() int { return b.looks }) }
func (b *book) told() int      { return b.counted(func() int { return len(b.commands) }) }
func (b *book) known() int     { return b.counted(func() int { return len(b.subs) }) }
func (b *book) linked(number uint64) int {
	return b.counted(func() int { return len(b.links[number]) })
}

// count is how many commands of T the log holds.
func count[T subs.Command](b *book) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.commands {
		if _, ok := c.(T); ok {
			n++
		}
	}
	return n
}

// The Store of a Deliverer.

func (b *book) Due(now stream.Time, limit int) (due []*subs.Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	for _, s := range b.subs {
		if w, at := s.Next(); w != subs.NoWork && at <= now {
			due = append(due, s)
		}
	}
	slices.SortFunc(due, func(p, q *subs.Subscription) int {
		_, a := p.Next()
		_, b := q.Next()
		return cmp.Or(cmp.Compare(a, b), cmp.Compare(p.Number, q.Number))
	})
	return due[:min(limit, len(due))]
}

func (b *book) NextDue() (at stream.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs {
		if w, when := s.Next(); w != subs.NoWork && (!ok || when < at) {
			at, ok = when, true
		}
	}
	return at, ok
}

func (b *book) SubscriptionsBell() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bell
}

func (b *book) SubscriptionByNumber(number uint64) (*subs.Subscription, bool) {
	s := b.get(number)
	return s, s != nil && !s.Deleted
}

func (b *book) EachSubscription(fn func(*subs.Subscription) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, number := range slices.Sorted(maps.Keys(b.subs)) {
		if !fn(b.subs[number]) {
			return
		}
	}
}

func (b *book) Links(number uint64, limit int) (list []subs.LinkInfo, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.links[number])) {
		list = append(list, b.links[number][name].Look(name, b.streams[name]))
	}
	return list[:min(limit, len(list))], nil
}

func (b *book) SigningKeys() []subs.Key {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keys
}

// view is the book as the rules see it, under its lock.
type view struct{ *book }

func (v view) Lookup(id subs.ID) *subs.Subscription {
	for _, s := range v.subs {
		if s.ID == id && !s.Deleted {
			return s
		}
	}
	return nil
}
func (v view) Subscription(number uint64) *subs.Subscription { return v.subs[number] }
func (v view) Subscriptions() int                            { return len(v.subs) }
func (v view) Link(number uint64, name stream.Name) (subs.Link, bool) {
	l, ok := v.links[number][name]
	return l, ok
}
func (v view) LinksOf(name stream.Name) (list []subs.StreamLink) {
	for _, number := range slices.Sorted(maps.Keys(v.links)) {
		if l, ok := v.links[number][name]; ok {
			list = append(list, subs.StreamLink{Number: number, Link: l})
		}
	}
	return list
}
func (v view) LinkedAfter(number uint64, after stream.Name, limit int) (names []stream.Name) {
	for _, name := range slices.Sorted(maps.Keys(v.links[number])) {
		if name > after && len(names) < limit {
			names = append(names, name)
		}
	}
	return names
}
func (v view) Unlinked(stream.Name, bool) []uint64 { return nil }
func (v view) WakeStream(stream.Name) bool         { return false }
func (v view) WokenBy(name stream.Name) (numbers []uint64) {
	for _, number := range slices.Sorted(maps.Keys(v.subs)) {
		if v.subs[number].Config.WakeStream == name {
			numbers = append(numbers, number)
		}
	}
	return numbers
}
func (v view) Stream(name stream.Name) *stream.State {
	return v.streams[name]
}
func (v view) StreamsAfter(prefix string, after stream.Name, limit int) (names []stream.Name) {
	for _, name := range slices.Sorted(maps.Keys(v.streams)) {
		if name > after && strings.HasPrefix(string(name), prefix) && len(names) < limit {
			names = append(names, name)
		}
	}
	return names
}
func (v view) Ends(uint64, uint64) bool { return true }
func (v view) Drawn() uint64            { return v.drawn }
func (v view) Keys() []subs.Key         { return v.keys }
