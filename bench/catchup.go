package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// passed is one way from the start of a stream to its tail.
type passed struct{ bytes, requests, messages uint64 }

var (
	errNoOffset   = errors.New("an answer without Stream-Next-Offset")
	errNoProgress = errors.New("an answer that is empty and not up to date")
	errHalf       = errors.New("a message that is not whole at the tail")
)

// readAll reads a stream from its start to its tail. With a nil fn it only counts
// messages.
func (t *trial) readAll(c *client, stream string, fn func(message)) (p passed, err error) {
	var rest []byte
	for offset := "-1"; ; {
		a, err := c.do("GET", stream, "offset="+offset, "", nil)
		if err != nil {
			return p, err
		}
		if a.status != 200 && a.status != 204 {
			return p, fmt.Errorf("read: status %d: %.200s", a.status, c.body)
		}
		p.requests++
		p.bytes += uint64(len(c.body))
		if fn != nil {
			data := c.body
			if len(rest) > 0 {
				data = append(rest, data...)
			}
			left, err := t.format.each(data, fn)
			if err != nil {
				return p, err
			}
			rest = append([]byte(nil), left...)
		} else if t.format.json {
			p.messages += t.format.count(c.body)
		}
		switch {
		case a.next == "":
			return p, errNoOffset
		case a.upToDate || a.end:
			if len(rest) > 0 {
				return p, errHalf
			}
			if fn == nil && !t.format.json {
				p.messages = p.bytes / uint64(t.format.size)
			}
			return p, nil
		case a.next == offset:
			return p, errNoProgress
		}
		offset = a.next
	}
}

// catchupBuffer is what a reader of much reads at once.
const catchupBuffer = 256 << 10

// runCatchup has readers read one stream from start to tail, again and again.
func runCatchup(ctx context.Context, t *trial) (*Result, error) {
	t.Streams = 1
	if err := t.createStreams(ctx); err != nil {
		return nil, err
	}
	defer t.removeStreams()
	total := uint64(t.Megabytes) * 1e6 / uint64(t.format.size)
	total -= total % uint64(t.Batch)
	begin := time.Now()
	preload, check, err := t.load(ctx, total)
	if err != nil {
		return nil, err
	}

	latency := newHistogram()
	var bytes, requests, passes atomic.Uint64
	var measuring, stop atomic.Bool
	var readers sync.WaitGroup
	for i := range t.Connections {
		readers.Go(func() {
			c := t.client(i)
			c.buffer = catchupBuffer
			defer c.close()
			for !stop.Load() {
				begin := time.Now()
				p, err := t.readAll(c, t.stream(0), nil)
				switch {
				case err != nil:
					t.errors.add(kind(err))
					time.Sleep(retryPause)
					continue
				case !t.Blind && p.messages != total:
					t.errors.add(fmt.Sprintf("a pass saw %d messages of %d", p.messages, total))
				}
				if measuring.Load() {
					latency.record(time.Since(begin))
					bytes.Add(p.bytes)
					requests.Add(p.requests)
					passes.Add(1)
				}
			}
		})
	}
	var w *watch
	err = t.measure(ctx, func() {
		w, begin = watchUsage(t.Pids), time.Now()
		measuring.Store(true)
	})
	stop.Store(true)
	readers.Wait() // passes that began in time count whole, and so does their time
	took := time.Since(begin).Seconds()
	if w == nil {
		return nil, err
	}
	server, generator := w.end()
	return &Result{
		Params: map[string]any{"connections": t.Connections, "megabytes": t.Megabytes, "size": t.format.size, "json": t.format.json},
		Rates: map[string]float64{
			"MB/s": float64(bytes.Load()) / took / 1e6, "passes/s": float64(passes.Load()) / took, "requests/s": float64(requests.Load()) / took,
			"preload messages/s": float64(total) / preload.Seconds(), "MB per answer": float64(bytes.Load()) / float64(max(1, requests.Load())) / 1e6,
		},
		Latencies: map[string]Latency{"pass": latency.summary()},
		Check:     check, Server: server, Generator: generator,
	}, err
}

// load fills the stream and reads it once, which also warms the caches.
func (t *trial) load(ctx context.Context, total uint64) (took time.Duration, check *Check, err error) {
	l, begin := &lane{}, time.Now()
	if err := t.preload(ctx, l, total); err != nil {
		return 0, nil, err
	}
	took = time.Since(begin)
	if check, err = t.verify(ctx, [][]*lane{{l}}); err == nil && t.Loaded != nil {
		err = t.Loaded()
	}
	return took, check, err
}

func (t *trial) preload(ctx context.Context, l *lane, total uint64) error {
	c, b := t.client(0), t.format.body(t.Batch)
	defer c.close()
	for l.next < total {
		if !t.append(c, b, l) {
			return fmt.Errorf("preload: %v", t.errors.counts())
		}
		t.Progress("preload", float64(l.next)/float64(total))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
