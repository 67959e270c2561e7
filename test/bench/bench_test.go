package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"mainstem/bench"
	"mainstem/test/harness"
)

// The environment of a run.
const (
	envBench  = "MAINSTEM_BENCH"        // "full" measures and writes docs/benchmarks.md; "soak" writes that part of it alone; "check" runs each row shortly
	envRounds = "MAINSTEM_BENCH_ROUNDS" // 3
	envSoak   = "MAINSTEM_BENCH_SOAK"   // 10m; 0 for none
	envOut    = "MAINSTEM_BENCH_OUT"    // docs/benchmarks.md
)

// cell is the results of one row on one server, a run for each round. Rows of one
// name on different servers of ours share what the others show.
type cell struct{ row, server string }

// TestBenchmarks runs each row on each of its servers, for some rounds, in each of
// which every server is started anew.
func TestBenchmarks(t *testing.T) {
	mode := os.Getenv(envBench)
	if mode != "full" && mode != "soak" && mode != "check" {
		t.Skipf("run make bench (%s is not set)", envBench)
	}
	out := os.Getenv(envOut)
	if out == "" {
		out = filepath.Join(harness.Root(t), "docs", "benchmarks.md")
	}
	rows, soak, byHand := partsOf(out)
	if mode != "soak" {
		rows = measureRows(t, mode == "check")
	}
	long := 10 * time.Minute
	if d, err := time.ParseDuration(os.Getenv(envSoak)); err == nil {
		long = d
	}
	if mode == "check" {
		long = min(long, 2*time.Second)
	}
	if long > 0 {
		t.Run("soak", func(t *testing.T) { soak = measureSoak(t, long).markdown() })
	}
	if t.Failed() || mode == "check" {
		return
	}
	if err := os.WriteFile(out, []byte(rows+soak+byHand), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("written %s", out)
}

// measureRows returns the part of the page with the table.
func measureRows(t *testing.T, short bool) string {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv(envRounds)); err == nil && n > 0 {
		rounds = n
	}
	if short {
		rounds = 1
	}
	begin, runs := time.Now(), map[cell][]*bench.Result{}
	for round := range rounds {
		for _, s := range servers() {
			t.Run(fmt.Sprintf("round %d/%s", round+1, s.name), func(t *testing.T) {
				measureServer(t, s, round, short, runs)
			})
		}
	}
	r := newReport(begin, rounds, runs)
	for _, line := range r.lines {
		t.Log(line.plain())
	}
	return r.markdown()
}

// measureServer runs all rows that want this server.
func measureServer(t *testing.T, s server, round int, short bool, runs map[cell][]*bench.Result) {
	var up *running
	done := map[string]bool{}
	for _, row := range rows() {
		if row.ours != s.name && !slices.Contains(row.others, s.name) || done[row.name] || row.cold && round > 0 {
			continue
		}
		done[row.name] = true
		if up == nil || row.cold || row.config.Streams >= 100_000 || row.config.Readers >= 10_000 { // memory is that of the row alone
			r := s.start(t)
			up = &r
		}
		c := row.config
		c.Label, c.Pids, c.Blind, c.Targets = s.name, up.pids, up.blind, up.writes
		if row.follow {
			c.Targets = up.reads
		}
		if short {
			c = shorten(c)
		}
		if row.cold {
			c.Loaded = up.wiped
		}
		run := bench.Run
		if up.run != nil {
			run = up.run
		}
		r, err := run(context.Background(), c)
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if !r.OK && row.ours == s.name {
			t.Errorf("%s: %+v %v", row.name, r.Check, r.Errors)
		}
		t.Logf("%-40s %s", row.name, figuresOf(row, r))
		at := cell{row.name, s.name}
		runs[at] = append(runs[at], r)
		if row.cold {
			up = nil // it is another process now
		}
	}
}

// shorten keeps what a row does and not what it shows.
func shorten(c bench.Config) bench.Config {
	c.Duration, c.Warmup = 200*time.Millisecond, -1
	c.Streams, c.Readers = min(c.Streams, 100), min(c.Readers, 100)
	c.Megabytes = 4
	return c
}

func figuresOf(row row, r *bench.Result) string {
	text := ""
	for _, f := range row.goal.figures {
		text += fmt.Sprintf(" %s %s", f.name, number(f.of(r), f.unit))
	}
	if !r.OK {
		text += " NOT OK"
	}
	return text
}
