package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// fan is a run with live readers.
type fan struct {
	*trial
	delivery  [deliveryShards]*histogram // for readers in turn: one would be a bottleneck, one for each much memory
	delivered atomic.Uint64
	measuring atomic.Bool
	stop      context.Context // ends when readers are to leave
}

const deliveryShards = 8

// connectsAtOnce bounds the live readers that are connecting.
const connectsAtOnce = 64

// settleTime is for the last requests to be parked, and for what comes twice to come.
const settleTime = 200 * time.Millisecond

// runFanout has paced writers and live readers, who check what they get.
func runFanout(ctx context.Context, t *trial) (*Result, error) {
	if t.Mode == ModeSSE && t.Bytes {
		return nil, errors.New("over SSE messages are JSON: leave out --bytes")
	}
	if err := t.createStreams(ctx); err != nil {
		return nil, err
	}
	defer t.removeStreams()
	stop, leave := context.WithCancel(ctx)
	defer leave()
	f := &fan{trial: t, stop: stop}
	for i := range f.delivery {
		f.delivery[i] = newHistogram()
	}
	var reading sync.WaitGroup
	readers, err := f.connect(&reading)
	if err != nil {
		leave()
		reading.Wait()
		return nil, err
	}
	p := newPace(f)
	var w *watch
	var begin time.Time
	var pieces *sampler
	err = t.measure(ctx, func() {
		w, begin, pieces = watchUsage(t.Pids), time.Now(), f.sample(p)
		f.measuring.Store(true)
	})
	took := time.Since(begin).Seconds()
	sent, delivered := p.sent.Load(), f.delivered.Load()
	p.end()
	if w == nil {
		return nil, err
	}
	pieces.end()
	server, generator := w.end()
	f.drain(ctx, readers, p)
	leave()
	reading.Wait()
	delivery := newHistogram()
	for _, h := range f.delivery {
		delivery.merge(h)
	}
	r := &Result{
		Params: map[string]any{"streams": t.Streams, "readers": t.Readers, "writers": len(p.lanes), "rate": t.Rate, "size": t.format.size, "mode": t.Mode},
		Rates: map[string]float64{
			"sent/s": float64(sent) / took, "delivered/s": float64(delivered) / took,
			"late ms": float64(time.Duration(p.late.Load()).Microseconds()) / 1000,
		},
		Latencies: map[string]Latency{"delivery": delivery.summary(), "append": p.ack.summary()},
		Check:     f.check(readers, p), Server: server, Generator: generator,
	}
	if r.Rates["sent/s"] < 0.97*t.Rate {
		r.Notes = append(r.Notes, "the writers could not keep the pace")
	}
	return r, err
}

// connect starts all readers and returns when all are following.
func (f *fan) connect(reading *sync.WaitGroup) ([]*reader, error) {
	readers := make([]*reader, f.Readers)
	gate := make(chan struct{}, connectsAtOnce)
	for i := range readers {
		r := &reader{fan: f, number: i, stream: i % f.Streams, offset: "-1", ready: make(chan struct{}), next: map[int]uint64{}, latency: f.delivery[i%deliveryShards]}
		readers[i] = r
		gate <- struct{}{}
		reading.Go(r.follow)
		go func() {
			select {
			case <-r.ready:
			case <-f.stop.Done():
			}
			<-gate
		}()
		if i%connectsAtOnce == 0 {
			f.Progress("connect", float64(i)/float64(f.Readers))
		}
	}
	deadline := time.After(f.Timeout)
	for _, r := range readers {
		select {
		case <-r.ready:
		case <-f.stop.Done():
			return nil, context.Cause(f.stop)
		case <-deadline:
			return nil, fmt.Errorf("not all readers could connect: %v", f.errors.counts())
		}
	}
	time.Sleep(settleTime)
	return readers, nil
}

// drain waits until each reader has what its stream holds.
func (f *fan) drain(ctx context.Context, readers []*reader, p *pace) {
	acked := p.acked(f.Streams)
	for end := time.Now().Add(f.Timeout); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(retryPause) {
		behind := 0
		for _, r := range readers {
			if r.seen.Load() < acked[r.stream] {
				behind++
			}
		}
		if behind == 0 {
			break
		}
		f.Progress("drain", 1-float64(behind)/float64(len(readers)))
	}
	time.Sleep(settleTime)
}

func (f *fan) check(readers []*reader, p *pace) *Check {
	acked, c := p.acked(f.Streams), Check{}
	for _, lanes := range p.lanes {
		for _, l := range lanes {
			c.InDoubt += uint64(len(l.doubt))
		}
	}
	for _, r := range readers {
		expected, got := acked[r.stream], r.seen.Load()
		c.Expected += expected
		c.Got += got
		c.Doubled += r.doubled
		if unique := got - r.doubled; unique < expected {
			c.Lost += expected - unique
		}
		if c.InDoubt == 0 {
			c.Disordered += r.skipped
		}
	}
	return &c
}
