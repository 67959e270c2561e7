package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// runAppend has writers append as fast as they are answered.
func runAppend(ctx context.Context, t *trial) (*Result, error) {
	if err := t.createStreams(ctx); err != nil {
		return nil, err
	}
	defer t.removeStreams()
	all := t.lanes(t.Connections)
	latency := newHistogram()
	var measuring, stop atomic.Bool
	var appends atomic.Uint64
	var writers sync.WaitGroup
	for w, lanes := range all {
		writers.Go(func() {
			c, b := t.client(w), t.format.body(t.Batch)
			defer c.close()
			for i := 0; !stop.Load(); i++ {
				begin := time.Now()
				if ok := t.append(c, b, lanes[i%len(lanes)]); ok && measuring.Load() {
					latency.record(time.Since(begin))
					appends.Add(1)
				}
			}
		})
	}
	var w *watch
	var begin time.Time
	err := t.measure(ctx, func() {
		w, begin = watchUsage(t.Pids), time.Now()
		measuring.Store(true)
	})
	measuring.Store(false)
	stop.Store(true)
	took, n := time.Since(begin).Seconds(), float64(appends.Load())
	if w == nil {
		writers.Wait()
		return nil, err
	}
	server, generator := w.end()
	writers.Wait()
	if err != nil {
		return nil, err
	}
	check, err := t.verify(ctx, all)
	if err != nil {
		t.errors.add("verify: " + kind(err))
	}
	return &Result{
		Params: map[string]any{"connections": t.Connections, "streams": t.Streams, "size": t.format.size, "batch": t.Batch, "json": t.format.json},
		Rates: map[string]float64{
			"appends/s":  n / took,
			"messages/s": n * float64(t.Batch) / took,
			"MB/s":       n * float64(t.Batch*t.format.size) / took / 1e6,
		},
		Latencies: map[string]Latency{"append": latency.summary()},
		Check:     check, Server: server, Generator: generator,
	}, nil
}
