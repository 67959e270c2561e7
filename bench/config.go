package bench

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config says what to run against what. Zero values mean the scenario's default.
type Config struct {
	Scenario    string
	Targets     []string      // base URLs of the nodes of one server, used in turn
	Label       string        // of the target in results; the first URL
	Duration    time.Duration // of the measured part; 5 s
	Warmup      time.Duration // before it; 1 s, below 0 for none
	Timeout     time.Duration // of a request, and of the wait for the last deliveries; 30 s
	Connections int           // writers; or readers (catchup), or workers (create)
	Streams     int
	Size        int     // bytes of a message; 256
	Bytes       bool    // messages are bytes and not JSON
	Batch       int     // messages in one append
	Readers     int     // live readers, over all streams (fanout, mixed)
	Rate        float64 // messages per second over all streams (fanout, mixed); RateMost for as many as the writers can
	Mode        string  // of live readers: sse or long-poll
	Megabytes   int     // to catch up with (catchup); 64
	Headers     []string
	Blind       bool  // nothing is read back
	Keep        bool  // streams are not deleted at the end
	Pids        []int // of the server's processes on this machine, to be watched

	// Progress is told how much of a step is done, from 0 to 1. nil: nobody is.
	Progress func(step string, done float64)
	// Loaded is called when all that is to be read is there (catchup), before it is
	// read. It may start the server anew.
	Loaded func() error
	// Sampled is told, every SampleEvery of the measured part, what came since the
	// last time (fanout, mixed).
	Sampled     func(Sample)
	SampleEvery time.Duration // 5 s
}

// Sample is a piece of a run.
type Sample struct {
	At        time.Duration // its end, since the beginning of the measured part
	Sent      float64       // messages per second
	Latencies map[string]Latency
	Memory    float64 // of the server's processes, in MB
}

// RateMost has each writer send the next message when the last is acknowledged.
const RateMost = -1

// Modes of live readers.
const (
	ModeSSE      = "sse"
	ModeLongPoll = "long-poll"
)

// Validate names what cannot be run.
func (c Config) Validate() error {
	if _, ok := scenarios()[c.Scenario]; !ok {
		return fmt.Errorf("there is no scenario %q; there are %s", c.Scenario, strings.Join(Scenarios(), ", "))
	}
	if len(c.Targets) == 0 {
		return errors.New("no target; give the base URL of a server, like http://127.0.0.1:4437/v1/stream")
	}
	for _, t := range c.Targets {
		if _, err := parseTarget(t); err != nil {
			return err
		}
	}
	for _, n := range []int{c.Connections, c.Streams, c.Size, c.Batch, c.Readers, c.Megabytes} {
		if n < 0 {
			return fmt.Errorf("%d is not a number of anything; leave it out for the default", n)
		}
	}
	for _, h := range c.Headers {
		if !strings.Contains(h, ":") || strings.ContainsAny(h, "\r\n") {
			return fmt.Errorf("%q is not a header; write 'Name: value'", h)
		}
	}
	switch c.Mode {
	case "", ModeSSE, ModeLongPoll:
	default:
		return fmt.Errorf("%q is not a mode of live reading; use %s or %s", c.Mode, ModeSSE, ModeLongPoll)
	}
	if c.Rate < 0 && c.Rate != RateMost {
		return fmt.Errorf("%v messages a second are none; give a rate above 0, or %d for as many as the writers can", c.Rate, RateMost)
	}
	if c.Duration < 0 || c.Timeout < 0 {
		return errors.New("the duration and the timeout cannot be negative")
	}
	return nil
}

// withDefaults fills in what is not said, from the scenario and then in general.
func (c Config) withDefaults() Config {
	for _, d := range []Config{scenarios()[c.Scenario].defaults, {
		Duration: 5 * time.Second, Warmup: time.Second, Timeout: 30 * time.Second,
		Connections: 16, Streams: 16, Size: 256, Batch: 1, Readers: 100, Rate: 100, Mode: ModeSSE, Megabytes: 64, SampleEvery: 5 * time.Second,
	}} {
		or(&c.Duration, d.Duration)
		or(&c.Warmup, d.Warmup)
		or(&c.Timeout, d.Timeout)
		or(&c.Connections, d.Connections)
		or(&c.Streams, d.Streams)
		or(&c.Size, d.Size)
		or(&c.Batch, d.Batch)
		or(&c.Readers, d.Readers)
		or(&c.Rate, d.Rate)
		or(&c.Mode, d.Mode)
		or(&c.Megabytes, d.Megabytes)
	}
	or(&c.Label, c.Targets[0])
	if c.Progress == nil {
		c.Progress = func(string, float64) {}
	}
	return c
}

func or[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// target is one node: where to dial, and what its streams' paths begin with.
type target struct {
	secure     bool
	host, addr string
	path       string
}

func parseTarget(text string) (t target, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return t, fmt.Errorf("%q is not a base URL; write something like http://127.0.0.1:4437/v1/stream", text)
	}
	t = target{secure: u.Scheme == "https", host: u.Host, addr: u.Host, path: strings.TrimSuffix(u.EscapedPath(), "/")}
	if u.Port() == "" {
		port := "80"
		if t.secure {
			port = "443"
		}
		t.addr = u.Hostname() + ":" + port
	}
	return t, nil
}
