package bench

import (
	"context"
	"fmt"
	"slices"
)

// Comparison is two servers measured in turn, so that what else the machine does
// meets both.
type Comparison struct {
	Runs   [2][]*Result       `json:"runs"`
	Median [2]*Result         `json:"median"` // the middle of each figure
	Ratios map[string]float64 `json:"ratios"` // of the first to the second: medians of each figure
	OK     bool               `json:"ok"`
}

// Compare runs a scenario on a, then on b, and so on for some rounds. each is told
// of every result as it is there.
func Compare(ctx context.Context, a, b Config, rounds int, each func(*Result)) (*Comparison, error) {
	c := &Comparison{OK: true}
	for round := range rounds {
		order := []int{0, 1}
		if round%2 == 1 { // neither is always the first
			slices.Reverse(order)
		}
		for _, i := range order {
			r, err := Run(ctx, [2]Config{a, b}[i])
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", round+1, err)
			}
			each(r)
			c.Runs[i] = append(c.Runs[i], r)
			c.OK = c.OK && r.OK
		}
	}
	c.Median = [2]*Result{Median(c.Runs[0]), Median(c.Runs[1])}
	c.Ratios = map[string]float64{}
	first, second := figures(c.Runs[0]), figures(c.Runs[1])
	for name, values := range first {
		if other := middle(second[name]); other > 0 {
			c.Ratios[name] = middle(values) / other
		}
	}
	return c, nil
}

// figures collects all figures of some runs by name.
func figures(runs []*Result) map[string][]float64 {
	all := map[string][]float64{}
	for _, r := range runs {
		for name, v := range r.Rates {
			all[name] = append(all[name], v)
		}
		for name, l := range r.Latencies {
			all[name+" p50"] = append(all[name+" p50"], l.P50)
			all[name+" p99"] = append(all[name+" p99"], l.P99)
		}
	}
	return all
}

func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// Median returns a result that has the middle of each figure of some runs. It is OK
// if all are.
func Median(runs []*Result) *Result {
	if len(runs) == 0 {
		return nil
	}
	m := *runs[len(runs)-1]
	m.Rates, m.Latencies = map[string]float64{}, map[string]Latency{}
	for name := range runs[0].Rates {
		m.Rates[name] = middle(collect(runs, func(r *Result) float64 { return r.Rates[name] }))
	}
	for name := range runs[0].Latencies {
		of := func(pick func(Latency) float64) float64 {
			return middle(collect(runs, func(r *Result) float64 { return pick(r.Latencies[name]) }))
		}
		m.Latencies[name] = Latency{
			Count: runs[0].Latencies[name].Count,
			Mean:  of(func(l Latency) float64 { return l.Mean }),
			P50:   of(func(l Latency) float64 { return l.P50 }),
			P90:   of(func(l Latency) float64 { return l.P90 }),
			P99:   of(func(l Latency) float64 { return l.P99 }),
			P999:  of(func(l Latency) float64 { return l.P999 }),
			Max:   of(func(l Latency) float64 { return l.Max }),
		}
	}
	for _, r := range runs {
		m.OK = m.OK && r.OK
	}
	return &m
}

func collect(runs []*Result, of func(*Result) float64) (values []float64) {
	for _, r := range runs {
		values = append(values, of(r))
	}
	return values
}
