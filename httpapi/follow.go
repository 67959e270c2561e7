package httpapi

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/stream"
)

// errTimeUp says that a wait has reached its end with nothing to read.
var errTimeUp = errors.New("time is up")

// errDraining says that the server wants its live readers to leave.
var errDraining = errors.New("the server is draining")

// follower is one live reader's way to look at a stream again and again, and to
// sleep in between. It has one timer for all that it must wake up for, and costs
// nothing per event.
type follower struct {
	server *Server
	lease  lease
	watch  func(stream.From, int) (stream.Chunk, <-chan struct{}, error)
	bell   <-chan struct{} // of the last look; nil before the first
	woken  time.Time       // when the stream changed, until what came is sent; zero for nothing new
	leave  func()
	gauge  prometheus.Gauge
	timer  *time.Timer
	alarm  time.Time // what timer is set to, by Config.Now

	draining <-chan struct{} // nil once this reader knows
	parting  time.Time       // when it leaves then
}

// follow counts a reader that is going to wait; close must be called.
func (s *Server) follow(name stream.Name, info *stream.Info, gauge prometheus.Gauge) (*follower, error) {
	if s.live.Add(1) > int64(s.cfg.LiveReadersMax) {
		s.live.Add(-1)
		return nil, errCrowded
	}
	gauge.Inc()
	f := &follower{server: s, lease: s.lease(name, info), gauge: gauge, draining: s.draining.Done()}
	f.watch, f.leave = s.reader.Follow(name)
	return f, nil
}

func (f *follower) close() {
	f.stopWatching()
	f.uncount()
}

// stopWatching is for a reader for whom somebody else waits from now on.
func (f *follower) stopWatching() {
	if f.timer != nil {
		f.timer.Stop()
	}
	f.leave()
	f.watch, f.leave, f.bell, f.timer = nil, nil, nil, nil
}

func (f *follower) uncount() {
	f.gauge.Dec()
	f.server.live.Add(-1)
}

// look reads what follows an offset.
func (f *follower) look(at stream.Offset, limit int) (chunk stream.Chunk, err error) {
	chunk, f.bell, err = f.watch(stream.FromOffset(at), limit)
	return chunk, err
}

// sleep returns nil when the stream has changed since the last look, or there
// was none yet; errTimeUp when until has come; errDraining; or the cause of ctx.
// Meanwhile it keeps the stream alive.
func (f *follower) sleep(ctx context.Context, until time.Time) error {
	for f.bell != nil {
		if f.mustPart() {
			return errDraining
		}
		next := until
		if f.draining == nil && f.parting.Before(next) {
			next = f.parting
		}
		if f.lease.window > 0 {
			f.lease.renewIfDue(f.server.cfg.Now())
			if f.lease.next.Before(next) {
				next = f.lease.next
			}
		}
		f.setAlarm(next)
		select {
		case <-f.bell:
			f.bell, f.woken = nil, time.Now()
			return nil
		case <-f.timer.C:
			f.alarm = time.Time{}
			if !f.server.cfg.Now().Before(until) {
				return errTimeUp
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.draining:
		}
	}
	return f.left(ctx)
}

// left tells why a reader that has something to do must go all the same.
func (f *follower) left(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case f.mustPart():
		return errDraining
	}
	return nil
}

// mustPart reports that the server is draining, and that the turn of this reader
// has come.
func (f *follower) mustPart() bool {
	if f.draining != nil {
		if !f.server.isDraining() {
			return false
		}
		f.draining = nil
		f.parting = f.server.cfg.Now().Add(f.server.partingPause())
	}
	return !f.server.cfg.Now().Before(f.parting)
}

// setAlarm sets the timer, if it is not set to that moment already.
func (f *follower) setAlarm(at time.Time) {
	if f.alarm.Equal(at) {
		return
	}
	f.alarm = at
	wait := at.Sub(f.server.cfg.Now())
	if f.timer == nil {
		f.timer = time.NewTimer(wait)
		return
	}
	f.timer.Reset(wait)
}
