package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// runCreate creates streams, looks at them and deletes them.
func runCreate(ctx context.Context, t *trial) (*Result, error) {
	r := &Result{
		Params: map[string]any{"connections": t.Connections, "streams": t.Streams},
		Rates:  map[string]float64{}, Latencies: map[string]Latency{},
	}
	w := watchUsage(t.Pids)
	for _, step := range []struct {
		method, rate string
		ok           int
	}{{"PUT", "creates/s", 201}, {"HEAD", "looks/s", 200}, {"DELETE", "deletes/s", 204}} {
		latency := newHistogram()
		var done atomic.Int64
		begin := time.Now()
		err := t.share(ctx, t.Streams, t.Connections, func(c *client, i int) error {
			asked := time.Now()
			a, err := c.do(step.method, t.stream(i), "", "Content-Type: "+t.format.contentType()+"\r\n", nil)
			switch {
			case err != nil:
				t.errors.add(step.method + ": " + kind(err))
			case a.status != step.ok && !(step.method == "DELETE" && a.status == 200):
				t.errors.add(fmt.Sprintf("%s: status %d", step.method, a.status))
			}
			latency.record(time.Since(asked))
			if n := done.Add(1); n%64 == 0 {
				t.Progress(step.rate, float64(n)/float64(t.Streams))
			}
			return nil
		})
		if err != nil {
			_, _ = w.end()
			return nil, err
		}
		r.Rates[step.rate] = float64(t.Streams) / time.Since(begin).Seconds()
		r.Latencies[step.method] = latency.summary()
	}
	r.Server, r.Generator = w.end()
	return r, nil
}
