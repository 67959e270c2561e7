package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes a result for people.
func (r *Result) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var params []string
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		params = append(params, fmt.Sprintf("%s=%v", name, r.Params[name]))
	}
	fmt.Fprintf(w, "%s  %s  %s\n", r.Scenario, r.Label, strings.Join(params, " "))
	for _, name := range slices.Sorted(maps.Keys(r.Rates)) {
		fmt.Fprintf(t, "  %s\t%.1f\t\n", name, r.Rates[name])
	}
	if len(r.Latencies) > 0 {
		fmt.Fprintln(t, "  ms\tmean\tp50\tp90\tp99\tp99.9\tmax\t")
		for _, name := range slices.Sorted(maps.Keys(r.Latencies)) {
			l := r.Latencies[name]
			fmt.Fprintf(t, "  %s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", name, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if c := r.Check; c != nil {
		fmt.Fprintf(w, "  checked: %d expected, %d read, %d lost, %d doubled, %d disordered, %d in doubt\n", c.Expected, c.Got, c.Lost, c.Doubled, c.Disordered, c.InDoubt)
	}
	if s := r.Server; s != nil {
		fmt.Fprintf(w, "  server: %.2f cores, %.0f MB at most, %.0f MB at the end\n", s.CPUCores, s.MemoryMax, s.MemoryEnd)
	}
	fmt.Fprintf(w, "  generator: %.2f cores\n", r.Generator)
	for _, name := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(w, "  error: %s: %d\n", name, r.Errors[name])
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
	if !r.OK {
		fmt.Fprintln(w, "  NOT OK: these figures are of a server that did something wrong")
	}
	return nil
}

// Print writes the figures of both sides and their ratios.
func (c *Comparison) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	first, second := figures(c.Runs[0]), figures(c.Runs[1])
	fmt.Fprintf(w, "%s, medians of %d\n", c.Median[0].Scenario, len(c.Runs[0]))
	fmt.Fprintf(t, "\t%s\t%s\tratio\t\n", c.Median[0].Label, c.Median[1].Label)
	for _, name := range slices.Sorted(maps.Keys(first)) {
		ratio := "-"
		if r, ok := c.Ratios[name]; ok {
			ratio = fmt.Sprintf("%.2f", r)
		}
		fmt.Fprintf(t, "  %s\t%.3f\t%.3f\t%s\t\n", name, middle(first[name]), middle(second[name]), ratio)
	}
	return t.Flush()
}
