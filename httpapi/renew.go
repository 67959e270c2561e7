package httpapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mainstem/stream"
)

const (
	// shortWindow is the lifetime below which each read is in the log before it
	// is answered.
	shortWindow = 10 * time.Second
	// renewalsMax bounds the streams whose renewal waits to be sent.
	renewalsMax = 64 << 10
	// renewalsAtOnce bounds how many of them are proposed at once.
	renewalsAtOnce = 256
	// lastRenewalTime bounds what is sent when the server stops.
	lastRenewalTime = 2 * time.Second
	// leaseTimeMin bounds how often one live reader asks for a renewal.
	leaseTimeMin = 100 * time.Millisecond
)

// renewals collects the streams that were read, so that many reads of one
// stream are one command. A set that is full refuses.
type renewals struct {
	mu    sync.Mutex // guards names
	names map[stream.Name]struct{}
	wake  chan struct{} // of one: somebody cannot wait for the interval
}

func newRenewals() *renewals {
	return &renewals{names: map[stream.Name]struct{}{}, wake: make(chan struct{}, 1)}
}

func (r *renewals) add(name stream.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) >= renewalsMax {
		_, there := r.names[name]
		return there
	}
	r.names[name] = struct{}{}
	return true
}

func (r *renewals) hurry() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *renewals) take() map[stream.Name]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) == 0 {
		return nil
	}
	names := r.names
	r.names = map[stream.Name]struct{}{}
	return names
}

// renewLoop sends what was collected, until ctx ends and once more.
func (s *Server) renewLoop(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.TouchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRenewalTime)
			defer cancel()
			s.sendRenewals(last)
			return nil
		case <-tick.C:
		case <-s.renewals.wake:
		}
		s.sendRenewals(ctx)
	}
}

func (s *Server) sendRenewals(ctx context.Context) {
	names := s.renewals.take()
	if len(names) == 0 {
		return
	}
	var g errgroup.Group
	g.SetLimit(renewalsAtOnce)
	for name := range names {
		g.Go(func() error {
			_, err := s.touch(ctx, name)
			var no *stream.Rejection
			if err == nil || errors.As(err, &no) { // a stream that has ended needs no renewal
				return nil
			}
			s.renewals.add(name) // the next interval tries again
			return err
		})
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		s.log.Debug("lifetimes of streams that were read are not renewed yet", "streams", len(names), "err", err)
	}
}

func (s *Server) touch(ctx context.Context, name stream.Name) (stream.Outcome, error) {
	s.metrics.renewed.Inc()
	return s.submit(ctx, stream.Touch{Name: name})
}

// renew counts a GET as a use of its stream (§5.1, Stream-TTL). Late in the
// window the log is asked before the answer, and may say that the stream has
// ended; only the log says so, never this node's clock.
func (v *vantage) renew(ctx context.Context, q *query, c *stream.Chunk) error {
	window, slides := c.Lifetime.TTL()
	if c.Deadline == 0 {
		return nil
	}
	s := v.server
	now := stream.TimeOf(s.cfg.Now())
	switch {
	case !slides && (now < c.Deadline || !v.asksLog()):
		return nil
	case !v.asksLog(), window >= shortWindow && now.Add(window/4) <= c.Deadline:
		if s.renewals.add(q.name) {
			return nil
		}
	}
	if !v.asksLog() {
		return nil // the set is full and there is no leader to ask
	}
	try, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	_, err := s.touch(try, q.name)
	var no *stream.Rejection
	switch {
	case err == nil, errors.As(err, &no):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	s.renewals.add(q.name)
	return v.goStale(q, c, err)
}

// asksLog reports that a command may be waited for.
func (v *vantage) asksLog() bool { return !v.local && !v.stale }

// confirm asks the log whether a stream past its deadline, by this node's
// clock, still lives. It does not renew it.
func (v *vantage) confirm(ctx context.Context, name stream.Name, i *stream.Info) error {
	s := v.server
	if i.Deadline == 0 || v.local || stream.TimeOf(s.cfg.Now()) < i.Deadline {
		return nil
	}
	try, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	_, err := s.submit(try, stream.Expire{Name: name})
	var no *stream.Rejection
	if err == nil || errors.As(err, &no) {
		return err
	}
	return notCurrent(err)
}

// lease renews a stream on behalf of one live reader, about each quarter of the
// window for as long as the reader is connected.
type lease struct {
	server   *Server
	name     stream.Name
	window   time.Duration // 0 for a lifetime that does not slide
	next     time.Time
	deadline stream.Time // as it was at the last look
}

func (s *Server) lease(name stream.Name, i *stream.Info) lease {
	l := lease{server: s, name: name, deadline: i.Deadline}
	if window, ok := i.Lifetime.TTL(); ok {
		l.window = max(window, 4*leaseTimeMin)
		l.next = s.cfg.Now().Add(l.window / 4)
	}
	return l
}

// renewIfDue never waits: the renewals are sent by Run. It is silent if the
// stream was renewed, by anybody on any node, since the last look; having asked,
// it looks again soon. Deadlines are compared with each other only: they are
// times of the log, and this node's clock may be far from it.
func (l *lease) renewIfDue(now time.Time) {
	if l.window == 0 || now.Before(l.next) {
		return
	}
	s := l.server
	info, ok, err := s.reader.Info(l.name)
	if err != nil || !ok || info.Deadline != l.deadline {
		l.next, l.deadline = now.Add(l.window/4), info.Deadline
		return
	}
	l.next = now.Add(max(l.window/16, leaseTimeMin))
	if s.renewals.add(l.name) && l.window < shortWindow {
		s.renewals.hurry()
	}
}
