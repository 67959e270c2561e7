package fsm

import (
	"slices"
	"sync"

	"mainstem/stream"
	"mainstem/subs"
)

// registry is the subscriptions as readers see them: the committed ones, with
// a schedule of what is due when.
type registry struct {
	mu       sync.RWMutex // guards what follows
	byNumber map[uint64]*subs.Subscription
	byID     map[subs.ID]uint64
	keys     []subs.Key
	due      schedule
	bell     chan struct{} // made by the first who asks, closed by the next change
	woken    uint64        // since this process began
	lapsed   uint64
}

func newRegistry() *registry { return &registry{} }

// load begins anew with what the writer knows.
func (r *registry) load(l *ledger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byNumber, r.byID, r.due = map[uint64]*subs.Subscription{}, map[subs.ID]uint64{}, newSchedule()
	r.keys = l.keys
	for _, s := range l.byNumber {
		r.put(s)
	}
	r.ring()
}

// publish shows what was committed, and forgets that it was new.
func (r *registry) publish(l *ledger) {
	if len(l.dirty) == 0 && !l.keysChanged {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for number := range l.dirty {
		if s := l.byNumber[number]; s != nil {
			r.put(s)
		} else {
			r.drop(number)
		}
	}
	r.keys = l.keys
	r.woken += uint64(l.woken)
	r.lapsed += uint64(l.lapsed)
	clear(l.dirty)
	l.keysChanged, l.woken, l.lapsed = false, 0, 0
	r.ring()
}

func (r *registry) put(s *subs.Subscription) {
	r.byNumber[s.Number] = s
	switch {
	case !s.Deleted:
		r.byID[s.ID] = s.Number
	case r.byID[s.ID] == s.Number:
		delete(r.byID, s.ID)
	}
	w, at := s.Next()
	r.due.set(s.Number, at, w != subs.NoWork)
}

func (r *registry) drop(number uint64) {
	if s := r.byNumber[number]; s != nil && r.byID[s.ID] == number {
		delete(r.byID, s.ID)
	}
	delete(r.byNumber, number)
	r.due.set(number, 0, false)
}

func (r *registry) ring() {
	if r.bell != nil {
		close(r.bell)
		r.bell = nil
	}
}

// Subscription returns a subscription of the copy by its id.
func (m *Machine) Subscription(id subs.ID) (*subs.Subscription, bool) {
	r := m.registry
	r.mu.RLock()
	defer r.mu.RUnlock()
	number, ok := r.byID[id]
	return r.byNumber[number], ok
}

// SubscriptionByNumber returns one by its number; a deleted one is not found.
func (m *Machine) SubscriptionByNumber(number uint64) (*subs.Subscription, bool) {
	r := m.registry
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.byNumber[number]
	if s == nil || s.Deleted {
		return nil, false
	}
	return s, true
}

// EachSubscription visits those that are not deleted, in order of their
// numbers, until fn returns false. fn may ask the machine.
func (m *Machine) EachSubscription(fn func(*subs.Subscription) bool) {
	for _, s := range m.registry.all() {
		if !fn(s) {
			return
		}
	}
}

func (r *registry) all() []*subs.Subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]*subs.Subscription, 0, len(r.byID))
	for _, number := range r.byID {
		list = append(list, r.byNumber[number])
	}
	slices.SortFunc(list, func(a, b *subs.Subscription) int {
		if a.Number < b.Number {
			return -1
		}
		return 1
	})
	return list
}

// Due returns, earliest first, subscriptions for which something is to be done
// by now; see subs.Subscription.Next.
func (m *Machine) Due(now stream.Time, limit int) []*subs.Subscription {
	r := m.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*subs.Subscription
	for _, number := range r.due.until(now, limit) {
		list = append(list, r.byNumber[number])
	}
	return list
}

// NextDue is when the next of them is; ok is false when nothing is to be done.
func (m *Machine) NextDue() (at stream.Time, ok bool) {
	r := m.registry
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.due.first()
}

// SubscriptionsBell is closed by the next commit that changes any.
func (m *Machine) SubscriptionsBell() <-chan struct{} {
	r := m.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bell == nil {
		r.bell = make(chan struct{})
	}
	return r.bell
}

// SigningKeys returns the keys of webhooks, the newest last.
func (m *Machine) SigningKeys() []subs.Key {
	r := m.registry
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys
}

// SubscriptionFigures is what metrics show of subscriptions.
type SubscriptionFigures struct {
	Count         int
	Failed        int
	Woken, Lapsed uint64      // applied since this process began
	OldestPending stream.Time // 0 when none has work
}

// SubscriptionFigures counts them.
func (m *Machine) SubscriptionFigures() SubscriptionFigures {
	r := m.registry
	r.mu.RLock()
	defer r.mu.RUnlock()
	f := SubscriptionFigures{Count: len(r.byID), Woken: r.woken, Lapsed: r.lapsed}
	for _, number := range r.byID {
		s := r.byNumber[number]
		if s.Failed {
			f.Failed++
		}
		if s.Pending > 0 && (f.OldestPending == 0 || s.PendingSince < f.OldestPending) {
			f.OldestPending = s.PendingSince
		}
	}
	return f
}
