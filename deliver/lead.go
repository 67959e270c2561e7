package deliver

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mainstem/stream"
	"mainstem/subs"
)

// reign is one time of leading: what is under way, and what waits for a moment.
type reign struct {
	*Deliverer

	freed chan struct{} // has room for one: a task has ended
	far   time.Time     // of the loop: when it may next look beyond the first that are due

	mu      sync.Mutex // guards what follows
	held    map[uint64]struct{}
	resting map[uint64]time.Time // until when a subscription is left alone that did not get on
	targets map[string]int       // deliveries under way
	sends   int                  // ... of all targets
	orphans bool                 // a delivery may have been begun in the log that nobody makes
	warned  time.Time            // when it was last said that this node cannot sign
}

// Lead carries out what subscriptions are owed until ctx ends, and returns when
// all that it started has ended. Run it while this node leads. Deliveries under
// way are broken off then, and made again by the next leader.
func (d *Deliverer) Lead(ctx context.Context) {
	r := &reign{
		Deliverer: d, freed: make(chan struct{}, 1), orphans: true,
		held: map[uint64]struct{}{}, resting: map[uint64]time.Time{}, targets: map[string]int{},
	}
	defer d.sender.closeIdle()
	tasks := new(errgroup.Group)
	tasks.SetLimit(commandsMax)
	defer func() { _ = tasks.Wait() }() // a task returns no error
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		bell := d.store.SubscriptionsBell() // before looking, so that no change goes unseen
		started := r.pass(ctx, tasks)
		if started == 0 { // bells ring at every append to a linked stream
			timer.Reset(passPause)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		timer.Reset(r.untilDue())
		select {
		case <-bell:
		case <-r.freed:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// untilDue is the time until the loop must look again without being woken.
func (r *reign) untilDue() time.Duration {
	at, ok := r.store.NextDue()
	now := stream.TimeOf(r.cfg.Now())
	switch {
	case ok && at <= now, r.unsettled(): // waits for a place, or rests
		return retryPause
	case ok:
		return min(time.Duration(at-now)*time.Millisecond, lookAgain)
	}
	return lookAgain
}

// pass starts what is owed and can be started, and returns how much.
func (r *reign) pass(ctx context.Context, tasks *errgroup.Group) (started int) {
	start := func(s *subs.Subscription, w subs.Work) (taken, room bool) {
		if !r.hold(s, w) {
			return false, true
		}
		if !tasks.TryGo(func() error {
			defer r.release(s, w)
			r.carryOut(ctx, s, w)
			return nil
		}) {
			r.release(s, w)
			return false, false
		}
		started++
		return true, true
	}
	r.wakeRested()
	r.adopt(start)
	now := stream.TimeOf(r.cfg.Now())
	for limit := dueMax; limit <= dueCeiling && r.mayLook(limit); limit *= 4 {
		due := r.store.Due(now, limit)
		for _, s := range due {
			w, at := s.Next()
			if w == subs.NoWork || at > now {
				continue
			}
			if _, room := start(s, w); !room {
				return started
			}
		}
		if len(due) < limit {
			break
		}
	}
	return started
}

// mayLook tells whether it is time to look at so many: behind those whose targets
// are busy there may be others, but not at each look.
func (r *reign) mayLook(limit int) bool {
	now := r.cfg.Now()
	if limit == 4*dueMax { // the first step beyond
		if now.Before(r.far) {
			return false
		}
		r.far = now.Add(farPause)
	}
	return true
}

// adopt takes up the deliveries that the log holds as begun and that nobody makes:
// a former leader's, and those whose begin was answered with an error here.
func (r *reign) adopt(start func(*subs.Subscription, subs.Work) (taken, room bool)) {
	if !r.takeOrphans() {
		return
	}
	var orphans []*subs.Subscription
	r.store.EachSubscription(func(s *subs.Subscription) bool {
		if s.Phase == subs.Sending && !s.Deleted {
			orphans = append(orphans, s)
		}
		return true
	})
	for _, s := range orphans {
		if taken, _ := start(s, subs.DoSend); !taken && !r.holds(s.Number) {
			r.orphan() // it waits for a place; look again
		}
	}
}
