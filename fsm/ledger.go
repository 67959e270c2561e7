package fsm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mainstem/storage"
	"mainstem/stream"
	"mainstem/subs"
)

// ledger is the subscriptions as the writer sees them, committed or not, and
// the View through which their rules look. All of them are in memory; their
// links are with the streams that the writer has in its cache.
type ledger struct {
	txn      *txn
	byNumber map[uint64]*subs.Subscription
	byID     map[subs.ID]uint64       // of those that are not deleted
	index    subs.Index               // of their patterns
	wakes    map[stream.Name][]uint64 // by wake stream, in order
	keys     []subs.Key
	// epoch grows with every change of what matches a name. A stream that was
	// looked at in the current epoch has all its links.
	epoch uint64

	// What was decided since the last commit.
	dirty       map[uint64]struct{}
	links       map[linkKey]*linkEdit
	keysChanged bool
	woken       int
	lapsed      int

	change subs.Change // of Observe
}

type linkKey struct {
	number uint64
	name   stream.Name
}

// linkEdit is a link that differs from the copy.
type linkEdit struct {
	link   subs.Link
	gone   bool
	stored bool // in the copy
}

// linkList is the links of one stream, in order of their numbers.
type linkList struct {
	epoch uint64 // in which all that match were linked; 0 for never
	links []subs.StreamLink
}

// idle reports a stream without links that no pattern can have come to match.
func (l *linkList) idle(epoch uint64) bool {
	return l != nil && l.epoch == epoch && len(l.links) == 0
}

var _ subs.View = (*ledger)(nil)

func loadLedger(t *txn) (*ledger, error) {
	l := &ledger{
		txn: t, byNumber: map[uint64]*subs.Subscription{}, byID: map[subs.ID]uint64{}, wakes: map[stream.Name][]uint64{},
		epoch: 1, dirty: map[uint64]struct{}{}, links: map[linkKey]*linkEdit{},
	}
	err := t.engine.EachSubscription(func(number uint64, encoded []byte) error {
		s, err := subs.DecodeSubscription(encoded)
		if err != nil {
			return fmt.Errorf("subscription %d: %w", number, err)
		}
		l.byNumber[number] = s
		if !s.Deleted {
			l.register(s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.keys, err = loadKeys(t.engine)
	return l, err
}

func loadKeys(engine *storage.Engine) ([]subs.Key, error) {
	encoded, ok, err := engine.SigningKeys()
	if err != nil || !ok {
		return nil, err
	}
	return subs.DecodeKeys(encoded)
}

func (l *ledger) register(s *subs.Subscription) {
	l.byID[s.ID] = s.Number
	if p, ok := s.Pattern(); ok {
		l.index.Add(p, s.Number)
	}
	if w := s.Config.WakeStream; w != "" {
		l.wakes[w] = append(l.wakes[w], s.Number) // numbers only grow
	}
	l.epoch++
}

func (l *ledger) unregister(s *subs.Subscription) {
	delete(l.byID, s.ID)
	if p, ok := s.Pattern(); ok {
		l.index.Remove(p, s.Number)
	}
	if w := s.Config.WakeStream; w != "" {
		l.wakes[w] = slices.DeleteFunc(l.wakes[w], func(number uint64) bool { return number == s.Number })
		if len(l.wakes[w]) == 0 {
			delete(l.wakes, w)
		}
	}
	l.epoch++
}

// decide lets the rules of subscriptions judge a command and keeps what they
// decide.
func (l *ledger) decide(body []byte) (stream.Result, error) {
	cmd, err := subs.DecodeCommand(body)
	if err != nil {
		return stream.Result{}, err
	}
	var change subs.Change
	result := subs.Decide(l, l.txn.globals.Now, cmd, &change)
	l.apply(&change)
	return stream.Result{Outcome: stream.Outcome{Answer: subs.AppendResult(nil, result)}}, nil
}

// observe lets them see what a command did to a stream.
func (l *ledger) observe(seen subs.Seen) {
	c := &l.change
	*c = subs.Change{Subscriptions: c.Subscriptions[:0], Links: c.Links[:0]}
	subs.Observe(l, l.txn.globals.Now, seen, c)
	l.apply(c)
	clear(c.Subscriptions)
}

func (l *ledger) apply(c *subs.Change) {
	if c.Drawn != 0 {
		l.txn.globals.Incarnations = c.Drawn
	}
	for _, s := range c.Subscriptions {
		l.put(s)
	}
	for _, link := range c.Links {
		l.putLink(link)
	}
	for _, number := range c.Gone {
		delete(l.byNumber, number)
		l.dirty[number] = struct{}{}
	}
	if c.Keys != nil {
		l.keys, l.keysChanged = c.Keys, true
	}
	l.woken += c.Woken
	l.lapsed += c.Lapsed
	if c.Event != nil { // its stream was looked at by the rules, and takes it
		limits := l.txn.limits // which are for clients: an event that was left out would be a wake that nobody hears of
		l.txn.limits = stream.Limits{}
		l.txn.decide(stream.Append{Name: c.Event.Stream, ContentType: "application/json", Body: c.Event.Body})
		l.txn.limits = limits
	}
}

func (l *ledger) put(s *subs.Subscription) {
	before := l.byNumber[s.Number]
	switch {
	case before == nil:
		l.register(s)
	case s.Deleted && !before.Deleted:
		l.unregister(before)
	}
	l.byNumber[s.Number] = s
	l.dirty[s.Number] = struct{}{}
}

func (l *ledger) putLink(c subs.LinkChange) {
	list := l.listOf(c.Name)
	at, had := slices.BinarySearchFunc(list.links, c.Number, byNumber)
	key := linkKey{c.Number, c.Name}
	edit := l.links[key]
	if edit == nil {
		edit = &linkEdit{stored: had}
		l.links[key] = edit
	}
	edit.link, edit.gone = c.Link, c.Gone
	next := subs.StreamLink{Number: c.Number, Link: c.Link}
	switch {
	case c.Gone:
		list.epoch = 0 // a pattern may match it and link it anew
		if had {
			list.links = slices.Delete(list.links, at, at+1)
		}
	case had:
		list.links[at] = next
	default:
		list.links = slices.Insert(list.links, at, next)
	}
}

func byNumber(l subs.StreamLink, number uint64) int { return cmp.Compare(l.Number, number) }

// listOf returns the links of a stream, from the copy if they are not at hand:
// then none of them has been changed since the last commit.
func (l *ledger) listOf(name stream.Name) *linkList {
	s := l.txn.states.get(name)
	if s.links != nil {
		return s.links
	}
	s.links = &linkList{}
	err := l.txn.engine.LinksOf(name, func(number uint64, encoded []byte) error {
		link, err := subs.DecodeLink(encoded)
		s.links.links = append(s.links.links, subs.StreamLink{Number: number, Link: link})
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("fsm: links of %q: %v", name, err))
	}
	return s.links
}

// stage puts what was decided into the batch, in an order that does not matter:
// no key is written twice.
func (l *ledger) stage(b *storage.Batch) {
	for number := range l.dirty {
		if s := l.byNumber[number]; s != nil {
			b.PutSubscription(number, subs.AppendSubscription(nil, s))
		} else {
			b.DeleteSubscription(number)
		}
	}
	var buf []byte
	for key, edit := range l.links {
		switch {
		case !edit.gone:
			buf = subs.AppendLink(buf[:0], edit.link)
			b.PutLink(key.name, key.number, buf, !edit.stored)
		case edit.stored:
			b.DeleteLink(key.name, key.number)
		}
	}
	clear(l.links)
	if l.keysChanged {
		b.PutSigningKeys(subs.AppendKeys(nil, l.keys))
	}
}

// Lookup implements subs.View.
func (l *ledger) Lookup(id subs.ID) *subs.Subscription { return l.byNumber[l.byID[id]] }

// Subscription implements subs.View.
func (l *ledger) Subscription(number uint64) *subs.Subscription { return l.byNumber[number] }

// Subscriptions implements subs.View.
func (l *ledger) Subscriptions() int { return len(l.byID) }

// Link implements subs.View.
func (l *ledger) Link(number uint64, name stream.Name) (subs.Link, bool) {
	links := l.listOf(name).links
	at, ok := slices.BinarySearchFunc(links, number, byNumber)
	if !ok {
		return subs.Link{}, false
	}
	return links[at].Link, true
}

// LinksOf implements subs.View.
func (l *ledger) LinksOf(name stream.Name) []subs.StreamLink { return l.listOf(name).links }

// Unlinked implements subs.View.
func (l *ledger) Unlinked(name stream.Name, afresh bool) []uint64 {
	list := l.listOf(name)
	if list.epoch == l.epoch && !afresh {
		return nil
	}
	list.epoch = l.epoch
	return l.index.Match(name)
}

// WakeStream implements subs.View.
func (l *ledger) WakeStream(name stream.Name) bool { return len(l.wakes[name]) > 0 }

// WokenBy implements subs.View.
func (l *ledger) WokenBy(name stream.Name) []uint64 { return l.wakes[name] }

// Stream implements subs.View.
func (l *ledger) Stream(name stream.Name) *stream.State { return l.txn.Stream(name) }

// Ends implements subs.View.
func (l *ledger) Ends(incarnation, pos uint64) bool { return l.txn.Ends(incarnation, pos) }

// Drawn implements subs.View.
func (l *ledger) Drawn() uint64 { return l.txn.globals.Incarnations }

// Keys implements subs.View.
func (l *ledger) Keys() []subs.Key { return l.keys }

// LinkedAfter implements subs.View. What the copy holds and what was decided
// since are merged: how entries fall into commits must not show.
func (l *ledger) LinkedAfter(number uint64, after stream.Name, limit int) []stream.Name {
	var names []stream.Name
	for key, edit := range l.links {
		if key.number == number && key.name > after && !edit.gone && !edit.stored {
			names = append(names, key.name)
		}
	}
	return merge(names, limit, func(name stream.Name) bool {
		edit := l.links[linkKey{number, name}]
		return edit == nil || !edit.gone
	}, func(visit func(stream.Name) bool) error { return l.txn.engine.Linked(number, after, visit) })
}

// StreamsAfter implements subs.View, with the same care.
func (l *ledger) StreamsAfter(prefix string, after stream.Name, limit int) []stream.Name {
	var names []stream.Name
	pending := make(map[stream.Name]bool, len(l.txn.dirty))
	for _, s := range l.txn.dirty {
		pending[s.name] = true
		if s.current != nil && s.name > after && strings.HasPrefix(string(s.name), prefix) {
			names = append(names, s.name)
		}
	}
	return merge(names, limit, func(name stream.Name) bool { return !pending[name] }, func(visit func(stream.Name) bool) error {
		return l.txn.engine.EachName(prefix, string(after), visit)
	})
}

// merge returns the first names, up to limit, of those that are given and of
// those stored ones that still count.
func merge(names []stream.Name, limit int, counts func(stream.Name) bool, stored func(visit func(stream.Name) bool) error) []stream.Name {
	n := 0
	err := stored(func(name stream.Name) bool {
		if counts(name) {
			names = append(names, name)
			n++
		}
		return n < limit
	})
	if err != nil {
		panic(fmt.Sprintf("fsm: %v", err))
	}
	slices.Sort(names)
	return names[:min(limit, len(names))]
}
