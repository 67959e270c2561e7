package bench

import (
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run has shown. What does not apply is left out.
type Result struct {
	Scenario  string             `json:"scenario"`
	Label     string             `json:"label"`
	Params    map[string]any     `json:"params"`
	Rates     map[string]float64 `json:"rates"`
	Latencies map[string]Latency `json:"latencies_ms,omitempty"`
	Check     *Check             `json:"check,omitempty"`
	Errors    map[string]uint64  `json:"errors,omitempty"`
	Server    *Usage             `json:"server,omitempty"`
	Generator float64            `json:"generator_cpu_cores"`
	Notes     []string           `json:"notes,omitempty"`
	OK        bool               `json:"ok"`
}

// Latency is a distribution, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

// Check is the verdict on what was read.
type Check struct {
	Expected   uint64 `json:"expected"` // acknowledged, once for each who reads it
	Got        uint64 `json:"got"`
	Lost       uint64 `json:"lost"`
	Doubled    uint64 `json:"doubled"`
	Disordered uint64 `json:"disordered"` // or never sent
	InDoubt    uint64 `json:"in_doubt"`   // sent and not acknowledged
}

// OK reports that nothing is wrong.
func (c *Check) OK() bool { return c.Lost == 0 && c.Doubled == 0 && c.Disordered == 0 }

// histogram collects durations up to a minute, to three digits.
type histogram struct {
	mu     sync.Mutex // guards what follows
	h      *hdrhistogram.Histogram
	window *hdrhistogram.Histogram // what came since it was last taken; nil until it first is
}

func newHistogram() *histogram {
	return &histogram{h: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
}

func (h *histogram) record(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	us := min(max(1, d.Microseconds()), time.Minute.Microseconds())
	_ = h.h.RecordValue(us) // within its range
	if h.window != nil {
		_ = h.window.RecordValue(us)
	}
}

// take moves what came since the last time to another, and nothing at the first.
func (h *histogram) take(to *histogram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.window == nil {
		h.window = newHistogram().h
		return
	}
	to.h.Merge(h.window)
	h.window.Reset()
}

// merge adds what another has collected.
func (h *histogram) merge(other *histogram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Merge(other.h)
}

func (h *histogram) summary() Latency {
	h.mu.Lock()
	defer h.mu.Unlock()
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return Latency{
		Count: h.h.TotalCount(), Mean: h.h.Mean() / 1000, Max: ms(h.h.Max()),
		P50: ms(h.h.ValueAtQuantile(50)), P90: ms(h.h.ValueAtQuantile(90)),
		P99: ms(h.h.ValueAtQuantile(99)), P999: ms(h.h.ValueAtQuantile(99.9)),
	}
}

// tally counts what went wrong, by kind.
type tally struct {
	mu sync.Mutex // guards by
	by map[string]uint64
}

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]uint64{}
	}
	t.by[what]++
}

func (t *tally) counts() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.by)
}

// kind names an error without what differs from one connection to the next.
func kind(err error) string {
	text := err.Error()
	for _, k := range []string{"refused", "reset", "broken pipe", "timeout", "EOF"} {
		if strings.Contains(text, k) {
			return k
		}
	}
	return text
}
