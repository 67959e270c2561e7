package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/bench"
)

// soak is a long run at a share of what the cluster can do.
type soak struct {
	took     time.Duration
	capacity float64 // messages per second of the same load without pauses
	rate     float64 // at which it ran
	samples  []bench.Sample
	result   *bench.Result
}

const (
	soakLoad    = 0.7
	soakWriters = 64
	soakPieces  = 40 // points in the plot
	soakTop     = 20 // the capacity is found in that part of the time
	// soakWarm is the time at that load in which the caches fill, as a part of what
	// is measured then.
	soakWarm = 0.4
)

// measureSoak finds out what three nodes can do and has them do some of it for long,
// with a live tail on each stream. The data is scrubbed all the while, which would
// begin in the midst of it otherwise.
func measureSoak(t *testing.T, d time.Duration) *soak {
	up := startThree(t, "--scrub-interval", "2m")
	c := bench.Config{
		Scenario: "mixed", Connections: soakWriters, Streams: soakWriters, Readers: soakWriters, Rate: bench.RateMost, Duration: d / soakTop,
		Targets: up.writes, Label: threeNodes, Pids: up.pids,
	}
	top, err := bench.Run(context.Background(), c)
	if err != nil || !top.OK {
		t.Fatalf("capacity: %v %+v", err, top)
	}
	s := &soak{took: d, capacity: top.Rates["sent/s"]}
	s.rate = soakLoad * s.capacity
	c.Rate, c.Duration, c.Warmup = s.rate, d, s.warm()
	c.SampleEvery, c.Sampled = d/soakPieces, func(piece bench.Sample) { s.samples = append(s.samples, piece) }
	if s.result, err = bench.Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if !s.result.OK {
		t.Errorf("soak: %+v %v", s.result.Check, s.result.Errors)
	}
	t.Logf("%v at %.0f/s: %s", d, s.rate, s.verdict())
	return s
}

func (s *soak) warm() time.Duration { return time.Duration(soakWarm * float64(s.took)) }

// fifths compares the second fifth of the run, when it is warm, with the last.
func (s *soak) fifths(of func(bench.Sample) float64) (early, late float64) {
	n := len(s.samples) / 5
	mean := func(part []bench.Sample) (sum float64) {
		for _, p := range part {
			sum += of(p) / float64(len(part))
		}
		return sum
	}
	return mean(s.samples[n : 2*n]), mean(s.samples[len(s.samples)-n:])
}

func (s *soak) verdict() string {
	var texts []string
	for _, f := range []struct {
		name, unit string
		of         func(bench.Sample) float64
	}{
		{"append p50", "ms", func(p bench.Sample) float64 { return p.Latencies["append"].P50 }},
		{"append p99", "ms", func(p bench.Sample) float64 { return p.Latencies["append"].P99 }},
		{"delivery p99", "ms", func(p bench.Sample) float64 { return p.Latencies["delivery"].P99 }},
		{"resident memory of all three", "MB", func(p bench.Sample) float64 { return p.Memory }},
		{"messages sent", "/s", func(p bench.Sample) float64 { return p.Sent }},
	} {
		early, late := s.fifths(f.of)
		texts = append(texts, fmt.Sprintf("%s %s, then %s", f.name, number(early, f.unit), number(late, f.unit)))
	}
	return strings.Join(texts, "; ")
}

func (s *soak) markdown() string {
	var b strings.Builder
	c := s.result.Check
	b.WriteString(soakBegins)
	fmt.Fprintf(&b, `
For %v, after %v at the same load in which the caches of blocks fill: three nodes, %d writers on %d streams through all nodes and a live tail on each stream, %.0f messages a second, which is %.0f %% of the %.0f a second that
the same writers and tails reach when no writer pauses; the data is scrubbed all the while (--scrub-interval 2m). %d deliveries were expected, %d came; lost %d, doubled %d, out of order %d. Means over the second fifth of
the run and over the last: %s.

`, s.took, s.warm(), soakWriters, soakWriters, s.rate, 100*soakLoad, s.capacity, c.Expected, c.Got, c.Lost, c.Doubled, c.Disordered, s.verdict())
	plot := func(title, unit string, lines ...func(bench.Sample) float64) {
		fmt.Fprintf(&b, "```mermaid\nxychart-beta\n  title \"%s\"\n  x-axis \"seconds\" 0 --> %.0f\n  y-axis \"%s\" 0 --> %.0f\n", title, s.took.Seconds(), unit, s.most(lines))
		for _, line := range lines {
			var points []string
			for _, p := range s.samples {
				points = append(points, fmt.Sprintf("%.2f", line(p)))
			}
			fmt.Fprintf(&b, "  line [%s]\n", strings.Join(points, ", "))
		}
		fmt.Fprint(&b, "```\n\n")
	}
	plot("append, p50 and p99", "ms", func(p bench.Sample) float64 { return p.Latencies["append"].P50 }, func(p bench.Sample) float64 { return p.Latencies["append"].P99 })
	plot("resident memory of the three nodes", "MB", func(p bench.Sample) float64 { return p.Memory })
	return b.String()
}

// most is the upper end of an axis.
func (s *soak) most(lines []func(bench.Sample) float64) float64 {
	top := 1.0
	for _, line := range lines {
		for _, p := range s.samples {
			top = max(top, line(p))
		}
	}
	return slices.Max([]float64{1, top * 1.1})
}
