package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// store is a replicated store with a client for each writer.
type store interface {
	// append stores a message durably in a sequence of the writer's own.
	append(ctx context.Context, writer int, number uint64, message []byte) error
	// count is how many messages are stored.
	count(ctx context.Context) (uint64, error)
}

type options struct {
	servers          []string
	writers          int
	size             int
	warmup, duration time.Duration
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o options
	f := flag.NewFlagSet("raftstores", flag.ContinueOnError)
	kind := f.String("kind", "", "etcd or nats")
	servers := f.String("servers", "", "addresses of all nodes, with commas between")
	f.IntVar(&o.writers, "writers", 16, "writers, each with a connection and a sequence of its own")
	f.IntVar(&o.size, "size", 256, "bytes of a message")
	f.DurationVar(&o.warmup, "warmup", time.Second, "how long to run before")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "how long to measure")
	if err := f.Parse(args); err != nil {
		return err
	}
	o.servers = strings.Split(*servers, ",")
	open, ok := map[string]func(context.Context, options) (store, error){"etcd": openEtcd, "nats": openNATS}[*kind]
	if !ok {
		return fmt.Errorf("-kind is %q; use etcd or nats", *kind)
	}
	const openWithin = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), openWithin+o.warmup+o.duration)
	defer cancel()
	s, err := open(ctx, o)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	r, err := measure(ctx, s, o)
	if err != nil {
		return err
	}
	r.Label = *kind
	return json.NewEncoder(os.Stdout).Encode(r)
}

// result has the names that mainstem bench gives them.
type result struct {
	Scenario  string             `json:"scenario"`
	Label     string             `json:"label"`
	Rates     map[string]float64 `json:"rates"`
	Latencies map[string]latency `json:"latencies_ms"`
	Check     check              `json:"check"`
	OK        bool               `json:"ok"`
}

type latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type check struct {
	Expected uint64 `json:"expected"`
	Got      uint64 `json:"got"`
}

func measure(ctx context.Context, s store, o options) (*result, error) {
	var stop, measuring atomic.Bool
	var acked, appends atomic.Uint64
	var mu sync.Mutex // guards first and times
	var first error
	times := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	var writers sync.WaitGroup
	for w := range o.writers {
		writers.Go(func() {
			message := []byte(strings.Repeat("x", o.size))
			for n := uint64(0); !stop.Load(); n++ {
				begin := time.Now()
				err := s.append(ctx, w, n, message)
				took := time.Since(begin)
				if err != nil {
					mu.Lock()
					first = fmt.Errorf("append: %w", err)
					mu.Unlock()
					return
				}
				acked.Add(1)
				if measuring.Load() {
					appends.Add(1)
					mu.Lock()
					_ = times.RecordValue(max(1, took.Microseconds())) // within its range
					mu.Unlock()
				}
			}
		})
	}
	time.Sleep(o.warmup)
	begin := time.Now()
	measuring.Store(true)
	time.Sleep(o.duration)
	measuring.Store(false)
	rate := float64(appends.Load()) / time.Since(begin).Seconds()
	stop.Store(true)
	writers.Wait()
	if first != nil {
		return nil, first
	}
	got, err := s.count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count: %w", err)
	}
	ms := func(quantile float64) float64 { return float64(times.ValueAtQuantile(quantile)) / 1000 }
	return &result{
		Scenario: "append", Rates: map[string]float64{"appends/s": rate},
		Latencies: map[string]latency{"append": {P50: ms(50), P99: ms(99), Max: ms(100)}},
		Check:     check{Expected: acked.Load(), Got: got}, OK: acked.Load() == got,
	}, nil
}
