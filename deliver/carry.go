package deliver

import (
	"context"
	"errors"
	"net/url"
	"time"

	"mainstem/subs"
)

// carryOut does what a subscription is owed. What the log refuses has been settled
// by another command; what could not be done is due again.
func (r *reign) carryOut(ctx context.Context, s *subs.Subscription, w subs.Work) {
	var err error
	switch {
	case w == subs.DoStep:
		_, err = propose(ctx, r.log, subs.Step{Number: s.Number})
	case w == subs.DoLapse:
		_, err = propose(ctx, r.log, subs.Lapse{Number: s.Number, Generation: s.Generation, Jitter: r.jitter()})
	case sends(s, w):
		err = r.deliver(ctx, s, w)
	case w == subs.DoWake:
		_, err = propose(ctx, r.log, subs.Wake{Number: s.Number, WakeID: r.NewWakeID(), Jitter: r.jitter()})
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil && !errors.As(err, new(*subs.Refusal)) {
		r.cfg.Log.Debug("subscription not served; it is tried again", "err", err)
		if sends(s, w) {
			r.orphan()
		}
	}
	if err != nil || r.isStill(s, w) {
		r.rest(s.Number)
	}
}

// isStill tells whether a subscription is owed the same as before: by the log's
// time it may not be due yet. Of steps there may be many.
func (r *reign) isStill(s *subs.Subscription, w subs.Work) bool {
	now, ok := r.store.SubscriptionByNumber(s.Number)
	if !ok || w == subs.DoStep {
		return false
	}
	_, was := s.Next()
	next, at := now.Next()
	return next == w && at == was && now.Generation == s.Generation
}

// deliver begins an attempt in the log, makes it, and tells the log how it ended.
// The log has agreed to every attempt that is made, so a node that does not know
// yet that another leads makes none that the other's log does not hold.
func (r *reign) deliver(ctx context.Context, s *subs.Subscription, w subs.Work) error {
	key, err := r.keys.ensure(ctx)
	if err != nil {
		r.metrics.deliveries.WithLabelValues(string(resultUnsigned)).Inc()
		r.warnUnsigned(err)
		return err
	}
	number, generation, wakeID := s.Number, s.Generation, s.WakeID
	if w == subs.DoWake {
		outcome, err := propose(ctx, r.log, subs.Wake{Number: number, WakeID: r.NewWakeID(), Jitter: r.jitter()})
		if err != nil || !outcome.Woke {
			return err
		}
		generation, wakeID = outcome.Generation, outcome.WakeID
	} else {
		if _, err := propose(ctx, r.log, subs.Attempt{Number: number, Generation: generation, WakeID: wakeID}); err != nil {
			return err
		}
		r.metrics.retries.Inc()
	}
	now, ok := r.store.SubscriptionByNumber(number)
	if !ok || now.Generation != generation || now.WakeID != wakeID {
		return nil // settled meanwhile
	}
	verdict, err := r.attempt(ctx, key, now)
	if err != nil {
		return err
	}
	_, err = propose(ctx, r.log, verdict)
	return err
}

// attempt sends a wake once and returns what to tell the log of it. The error
// means that this node could not even try.
func (r *reign) attempt(ctx context.Context, key *signingKey, s *subs.Subscription) (command, error) {
	links, err := r.store.Links(s.Number, linksMax)
	if err != nil {
		return nil, err
	}
	begun := r.cfg.Now()
	token, err := mintToken(key, s.Number, s.Generation, begun)
	if err != nil {
		return nil, err
	}
	body, reached, err := compose(s, links, token)
	if err != nil {
		return nil, err
	}
	sending, cancel := context.WithTimeout(ctx, r.patience(s, begun))
	defer cancel()
	r.metrics.sending.Inc()
	defer r.metrics.sending.Dec()
	how, why := r.sender.send(sending, s.Config.URL, body, signature(key, begun, body))
	if ctx.Err() != nil {
		return nil, ctx.Err() // broken off; the next leader makes it again
	}
	r.metrics.sent(how, r.cfg.Now().Sub(begun))
	switch how {
	case resultDone:
		return subs.Ack{Number: s.Number, Generation: s.Generation, WakeID: s.WakeID, Acks: reached, Done: true, Delivery: true}, nil
	case resultAccepted:
		return subs.Delivered{Number: s.Number, Generation: s.Generation, WakeID: s.WakeID}, nil
	}
	r.noteFailure(s, how, why)
	return subs.DeliveryFailed{Number: s.Number, Generation: s.Generation, WakeID: s.WakeID, Jitter: r.jitter()}, nil
}

// patience is how long a delivery may take: less than its lease, so that a failure
// is in the log before the wake is over and the same wake is sent again.
func (r *reign) patience(s *subs.Subscription, now time.Time) time.Duration {
	left := time.UnixMilli(int64(s.LeaseUntil)).Sub(now)
	return min(r.cfg.RequestTimeout, left-left/leaseShare)
}

// noteFailure writes one warning when a subscription begins to fail. A URL may
// hold a secret, so only its host is named.
func (r *reign) noteFailure(s *subs.Subscription, how result, why error) {
	u, err := url.Parse(s.Config.URL)
	if err != nil {
		u = &url.URL{}
	}
	log := r.cfg.Log.Debug
	if s.Retries == 0 {
		log = r.cfg.Log.Warn
	}
	log("webhook not delivered; it is tried again until it is", "subscription", s.ID, "host", u.Host, "generation", s.Generation, "attempt", s.Retries+1, "result", how, "err", why)
}

// warnUnsigned says once in a while that nothing can be sent.
func (r *reign) warnUnsigned(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.cfg.Now(); now.Sub(r.warned) >= keyWarnInterval {
		r.warned = now
		r.cfg.Log.Warn("webhooks wait: this node cannot sign them", "err", err)
	}
}

// jitter draws by how many thousandths a pause is moved (§7.1).
func (d *Deliverer) jitter() int { return d.cfg.Jitter(2*subs.JitterMax+1) - subs.JitterMax }
