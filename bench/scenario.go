package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// scenario is one way to use a server.
type scenario struct {
	help     string
	defaults Config // where they differ from the common ones
	run      func(context.Context, *trial) (*Result, error)
}

func scenarios() map[string]scenario {
	return map[string]scenario{
		"append": {"writers that append one message after the other, each when the last is acknowledged", Config{}, runAppend},
		"batch":  {"the same with JSON arrays of --batch messages", Config{Batch: 100}, runAppend},
		"catchup": {"readers that read one stream of --megabytes from its start to its tail, again and again",
			Config{Connections: 4, Streams: 1, Size: 1024, Batch: 256}, runCatchup},
		"fanout": {"live readers of one stream and a writer with a pace; how long a message takes to each", Config{Connections: 1, Streams: 1}, runFanout},
		"mixed": {"many streams, each with a live reader and its share of the pace",
			Config{Connections: 64, Streams: 1000, Readers: 1000, Rate: 1000}, runFanout},
		"create": {"streams are created, looked at and deleted", Config{Streams: 10_000}, runCreate},
	}
}

// Scenarios returns the names of all scenarios.
func Scenarios() []string { return slices.Sorted(maps.Keys(scenarios())) }

// Help returns what a scenario does.
func Help(name string) string { return scenarios()[name].help }

// trial is one run of a scenario.
type trial struct {
	Config
	targets []target
	format  *format
	extra   string // header lines of every request
	id      string // in the names of this run's streams
	errors  tally
}

// Run runs a scenario once. An error means that there is no result; a Result that
// is not OK was measured on a server that did something wrong.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &trial{Config: cfg.withDefaults(), id: strings.ToLower(rand.Text()[:10])}
	for _, text := range t.Targets {
		target, err := parseTarget(text)
		if err != nil {
			return nil, err
		}
		t.targets = append(t.targets, target)
	}
	for _, h := range t.Headers {
		t.extra += h + "\r\n"
	}
	t.format = newFormat(!t.Bytes, t.Size)
	r, err := scenarios()[t.Scenario].run(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Scenario, err)
	}
	r.Scenario, r.Label = t.Scenario, t.Label
	r.Errors = t.errors.counts()
	r.OK = len(r.Errors) == 0 && (r.Check == nil || r.Check.OK())
	return r, nil
}

func (t *trial) stream(i int) string { return fmt.Sprintf("bench-%s-%d", t.id, i) }

func (t *trial) client(i int) *client {
	return &client{target: t.targets[i%len(t.targets)], extra: t.extra, timeout: t.Timeout}
}

// share calls fn for 0 to n-1, spread over a number of workers, each with a client
// of its own, and returns the first error.
func (t *trial) share(ctx context.Context, n, workers int, fn func(c *client, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	workers = min(workers, n)
	for w := range workers {
		g.Go(func() error {
			c := t.client(w)
			defer c.close()
			for i := w; i < n; i += workers {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := fn(c, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// preparers is how many connections make and delete the streams of a run.
const preparers = 16

func (t *trial) createStreams(ctx context.Context) error {
	t.Progress("create", 0)
	return t.share(ctx, t.Streams, preparers, func(c *client, i int) error { return c.create(t.stream(i), t.format.contentType()) })
}

// removeStreams is best effort: the result is there already.
func (t *trial) removeStreams() {
	if t.Keep {
		return
	}
	_ = t.share(context.Background(), t.Streams, preparers, func(c *client, i int) error {
		_, err := c.do("DELETE", t.stream(i), "", "", nil)
		return err
	})
}

// measure waits through warm-up and measured part and tells of the progress. begin
// is called between the two.
func (t *trial) measure(ctx context.Context, begin func()) error {
	if t.Warmup > 0 {
		if err := t.pass(ctx, "warm up", t.Warmup); err != nil {
			return err
		}
	}
	begin()
	return t.pass(ctx, "measure", t.Duration)
}

const progressInterval = 100 * time.Millisecond

func (t *trial) pass(ctx context.Context, step string, d time.Duration) error {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		t.Progress(step, 1-max(0, float64(left)/float64(d)))
		if left <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(left, progressInterval)):
		}
	}
}
