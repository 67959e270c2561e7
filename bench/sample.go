package bench

import (
	"sync"
	"time"
)

// sampler cuts a run into pieces.
type sampler struct {
	fan     *fan
	pace    *pace
	stop    chan struct{}
	stopped sync.WaitGroup
}

// sample tells of each piece from now on, if anybody wants to know.
func (f *fan) sample(p *pace) *sampler {
	s := &sampler{fan: f, pace: p, stop: make(chan struct{})}
	if f.Sampled == nil {
		return s
	}
	begin := time.Now()
	s.take()
	s.stopped.Go(func() {
		tick := time.NewTicker(f.SampleEvery)
		defer tick.Stop()
		for last := begin; ; {
			select {
			case <-s.stop:
				return
			case now := <-tick.C:
				acked, delivered := s.take()
				f.Sampled(Sample{
					At: now.Sub(begin), Sent: float64(acked.Count*int64(f.Batch)) / now.Sub(last).Seconds(),
					Latencies: map[string]Latency{"append": acked, "delivery": delivered}, Memory: sum(f.Pids, memoryOf),
				})
				last = now
			}
		}
	})
	return s
}

func (s *sampler) take() (acked, delivered Latency) {
	ack, delivery := newHistogram(), newHistogram()
	s.pace.ack.take(ack)
	for _, h := range s.fan.delivery {
		h.take(delivery)
	}
	return ack.summary(), delivery.summary()
}

func (s *sampler) end() {
	close(s.stop)
	s.stopped.Wait()
}
