package bench

import (
	"sync"
	"sync/atomic"
	"time"
)

// pace is writers that append at given moments, whether the last append was quick or
// not; or, at RateMost, one message after the other. Each has streams of its own and
// sends to one after the other.
type pace struct {
	fan     *fan
	lanes   [][]*lane // by writer
	ack     *histogram
	sent    atomic.Uint64 // in the measured part
	late    atomic.Int64  // the most that a writer was behind its moment, in nanoseconds
	stop    chan struct{}
	writing sync.WaitGroup
}

func newPace(f *fan) *pace {
	writers := min(f.Connections, f.Streams)
	p := &pace{fan: f, lanes: make([][]*lane, writers), ack: newHistogram(), stop: make(chan struct{})}
	for s := range f.Streams {
		w := s % writers
		p.lanes[w] = append(p.lanes[w], &lane{writer: w, stream: s})
	}
	begin := time.Now()
	for w, lanes := range p.lanes {
		var gap time.Duration
		if f.Rate != RateMost {
			gap = time.Duration(float64(time.Second) * float64(f.Batch*f.Streams) / f.Rate / float64(len(lanes)))
		}
		first := begin.Add(gap * time.Duration(w) / time.Duration(writers))
		p.writing.Go(func() { p.write(w, lanes, first, gap) })
	}
	return p
}

func (p *pace) write(w int, lanes []*lane, next time.Time, gap time.Duration) {
	f := p.fan
	c, b := f.client(w), f.format.body(f.Batch)
	defer c.close()
	for i := 0; ; i++ {
		select {
		case <-p.stop:
			return
		case <-time.After(time.Until(next)):
		}
		measuring := f.measuring.Load()
		if behind := int64(time.Since(next)); measuring && gap > 0 && behind > p.late.Load() {
			p.late.Store(behind)
		}
		next = next.Add(gap)
		begin := time.Now()
		if f.append(c, b, lanes[i%len(lanes)]) && measuring {
			p.ack.record(time.Since(begin))
			p.sent.Add(uint64(f.Batch))
		}
	}
}

// end stops the writers and waits for them.
func (p *pace) end() {
	close(p.stop)
	p.writing.Wait()
}

// acked is how many messages each stream holds for sure.
func (p *pace) acked(streams int) []uint64 {
	acked := make([]uint64, streams)
	for _, lanes := range p.lanes {
		for _, l := range lanes {
			acked[l.stream] += l.acked
		}
	}
	return acked
}
