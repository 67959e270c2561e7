package scrub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"mainstem/storage"
	"mainstem/stream"
)

// Scrubber is one node's part in the scrub.
type Scrubber struct {
	cfg     Config
	limiter *rate.Limiter
	metrics *metrics
	began   time.Time

	mu      sync.Mutex         // guards what follows
	waiting *mark              // the newest that was not begun
	abandon context.CancelFunc // of the one that is being digested
	wake    chan struct{}      // one waits at most
	ended   bool
	results []*own    // the last few, oldest first
	passAt  time.Time // when the last mark at the beginning of the copy was seen
}

// mark is a moment of the copy that is to be digested.
type mark struct {
	index uint64
	mark  stream.Mark
	view  *storage.View
}

// New returns a Scrubber that takes marks, and does nothing before Run.
func New(cfg Config) (*Scrubber, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &Scrubber{
		cfg:     cfg,
		limiter: rate.NewLimiter(rate.Limit(cfg.BytesPerSecond), int(min(cfg.BytesPerSecond, burstBytesMax))),
		metrics: newMetrics(cfg.Metrics, cfg.Quarantine),
		began:   cfg.Now(),
		abandon: func() {},
		wake:    make(chan struct{}, 1),
	}, nil
}

// burstBytesMax is how much may be read at once after a rest.
const burstBytesMax = 1 << 20

// pace is the storage.Pace of all that this package reads.
func (s *Scrubber) pace(ctx context.Context, bytes int) error {
	s.metrics.bytes.Add(float64(bytes))
	for bytes > 0 {
		n := min(bytes, s.limiter.Burst())
		if err := s.limiter.WaitN(ctx, n); err != nil {
			return err
		}
		bytes -= n
	}
	return nil
}

// Marked takes the copy as of a mark, and closes it when it is done. Only the
// newest is digested: who has fallen behind holds the others up no longer.
func (s *Scrubber) Marked(index uint64, m stream.Mark, v *storage.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		s.let(v)
		return
	}
	if s.waiting != nil {
		s.let(s.waiting.view)
	}
	s.waiting = &mark{index, m, v}
	if m.From == "" {
		s.passAt = s.cfg.Now()
	}
	s.abandon()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Scrubber) let(v *storage.View) {
	if err := v.Close(); err != nil {
		s.cfg.Log.Warn("a view of the copy was not closed", "err", err)
	}
}

// Run checks this node's data until ctx ends. members tells what is known of all
// members, this node included.
func (s *Scrubber) Run(ctx context.Context, members func() []Member) error {
	var g errgroup.Group
	g.Go(func() error { s.digestAll(ctx); return nil })
	g.Go(func() error { s.verifyAll(ctx); return nil })
	g.Go(func() error { s.compareAll(ctx, members); return nil })
	return g.Wait()
}

// Close lets go of the copy, and so will every mark that still comes. It is called
// when Run has returned, or was never called.
func (s *Scrubber) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.waiting != nil {
		s.let(s.waiting.view)
		s.waiting = nil
	}
	return nil
}

// digestAll digests what Marked takes.
func (s *Scrubber) digestAll(ctx context.Context) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		work, cancel := context.WithCancel(ctx)
		if m := s.begin(cancel); m != nil {
			s.digest(work, m)
		}
		cancel()
	}
}

func (s *Scrubber) begin(cancel context.CancelFunc) *mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.waiting
	s.waiting, s.abandon = nil, cancel
	return m
}

func (s *Scrubber) digest(ctx context.Context, m *mark) {
	sum, err := m.view.Sum(ctx, m.mark.From, m.mark.Bytes, s.pace)
	s.let(m.view)
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, storage.ErrCorrupt):
		s.cfg.Quarantine.Found(err)
		return
	case err != nil:
		s.cfg.Log.Warn("a part of the copy could not be digested", "index", m.index, "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, &own{
		result: result{Index: m.index, Version: storage.SumVersion, Sum: sum.Hash},
		from:   m.mark.From, next: sum.Next, at: s.cfg.Now(),
	})
	if n := len(s.results) - resultsKept; n > 0 {
		for _, r := range s.results[:n] {
			s.drop(r)
		}
		s.results = append(s.results[:0:0], s.results[n:]...)
	}
}

// drop counts a result that nobody will look at again.
func (s *Scrubber) drop(r *own) {
	if r.last == undecided {
		s.alarm(r, verdict{outcome: undecided})
	}
	if !r.settled {
		s.metrics.ranges.WithLabelValues(outcomeNames[r.last]).Inc()
	}
}

// keys names a part for people.
func (r *own) keys() string {
	if r.next == "" {
		return fmt.Sprintf("%q to the end", r.from)
	}
	return fmt.Sprintf("%q to %q", r.from, r.next)
}

// verifyAll reads all files once in an interval.
func (s *Scrubber) verifyAll(ctx context.Context) {
	for wait := s.cfg.Interval / firstShare; sleep(ctx, wait); {
		began := s.cfg.Now()
		if s.verifyOnce(ctx) {
			s.metrics.passes.Inc()
			s.metrics.passed.Set(float64(s.cfg.Now().Unix()))
		}
		wait = max(s.cfg.Poll, s.cfg.Interval-s.cfg.Now().Sub(began))
	}
}

func (s *Scrubber) verifyOnce(ctx context.Context) (whole bool) {
	whole = true
	for _, store := range s.cfg.Stores {
		err := store.Verify(ctx, s.pace)
		switch {
		case ctx.Err() != nil:
			return false
		case errors.Is(err, storage.ErrCorrupt):
			s.cfg.Quarantine.Found(err)
			whole = false
		case err != nil:
			s.cfg.Log.Warn("a part of this node's data could not be checked", "part", store.Name, "err", err)
			whole = false
		}
	}
	return whole
}

// sleep reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
