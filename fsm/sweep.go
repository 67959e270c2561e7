package fsm

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"mainstem/stream"
)

const (
	sweepBatch = 256 // streams asked about at once
	sweepSlow  = 10  // intervals to pause after an error
)

// Sweep proposes, until ctx ends, the expiry of streams whose deadline has
// passed by the clock now or by the time of the machine, and the trimming of those that hold more than their
// retention keeps. It decides nothing: the rule is asked again in log
// order, and a stream renewed meanwhile lives on. Run it where commands are
// proposed.
func (m *Machine) Sweep(ctx context.Context, every time.Duration, now func() time.Time, submit func(context.Context, stream.Command) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	pause := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if pause--; pause > 0 {
			continue
		}
		if err := m.sweep(ctx, stream.TimeOf(now()), submit); err != nil && ctx.Err() == nil {
			m.log.Warn("expired streams and old data could not be swept", "err", err)
			pause = sweepSlow
		}
	}
}

func (m *Machine) sweep(ctx context.Context, now stream.Time, submit func(context.Context, stream.Command) error) error {
	now = max(now, m.engine.Globals().Now) // which a leader whose clock is ahead may have moved, and the rule goes by
	due, err := m.engine.Due(now, sweepBatch)
	if err != nil {
		return err
	}
	trims, err := m.engine.TrimsDue(now, sweepBatch)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range trims {
		g.Go(func() error { return submit(ctx, stream.Trim{Name: d.Name}) })
	}
	for _, d := range due {
		g.Go(func() error { return submit(ctx, stream.Expire{Name: d.Name}) })
	}
	return g.Wait()
}
