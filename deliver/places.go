package deliver

import (
	"mainstem/subs"
)

// A subscription is held while a task works for it, so that no two do. A delivery
// has a place besides, of which there are so many in all and per target: it is
// taken before the log is told of the attempt, so that no lease runs in a queue.

// hold takes what a task needs, or reports that it must wait.
func (r *reign) hold(s *subs.Subscription, w subs.Work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, held := r.held[s.Number]; held {
		return false
	}
	if _, rests := r.resting[s.Number]; rests {
		return false
	}
	if sends(s, w) {
		target := targetOf(s.Config.URL)
		if r.sends >= r.cfg.Sends || r.targets[target] >= r.cfg.SendsPerTarget {
			return false
		}
		r.sends++
		r.targets[target]++
	}
	r.held[s.Number] = struct{}{}
	return true
}

// release gives it back and lets the loop look again.
func (r *reign) release(s *subs.Subscription, w subs.Work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sends(s, w) {
		target := targetOf(s.Config.URL)
		r.sends--
		if r.targets[target]--; r.targets[target] == 0 {
			delete(r.targets, target)
		}
	}
	delete(r.held, s.Number)
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// sends tells whether work for a subscription makes a request.
func sends(s *subs.Subscription, w subs.Work) bool {
	return s.Config.Kind == subs.Webhook && (w == subs.DoWake || w == subs.DoSend)
}

// rest leaves a subscription alone for a moment.
func (r *reign) rest(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resting[number] = r.cfg.Now().Add(retryPause)
}

// wakeRested forgets those that have rested.
func (r *reign) wakeRested() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, until := range r.resting {
		if !r.cfg.Now().Before(until) {
			delete(r.resting, number)
		}
	}
}

// orphan notes that the log may hold the begin of a delivery that nobody makes.
func (r *reign) orphan() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.orphans = true
}

// takeOrphans tells whether there may be such deliveries, and forgets it.
func (r *reign) takeOrphans() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	orphans := r.orphans
	r.orphans = false
	return orphans
}

// holds tells whether a task works for a subscription.
func (r *reign) holds(number uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, held := r.held[number]
	return held
}

// unsettled tells whether something waits that no bell announces.
func (r *reign) unsettled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orphans || len(r.resting) > 0
}
