package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mainstem/bench"
)

// report is what docs/benchmarks.md says.
type report struct {
	begin  time.Time
	took   time.Duration
	rounds int
	lines  []line
}

// line is one row with what was measured.
type line struct {
	row
	measured, toCeiling, toRival, toMemory, verdict string
}

func newReport(begin time.Time, rounds int, runs map[cell][]*bench.Result) report {
	r := report{begin: begin, took: time.Since(begin), rounds: rounds}
	for _, row := range rows() {
		ours := bench.Median(runs[cell{row.name, row.ours}])
		if ours == nil { // its server could not be run here, and has said so
			continue
		}
		l := line{row: row, toCeiling: "–", toRival: "–", verdict: "reached"}
		var top *bench.Result
		if slices.Contains(row.others, ceiling) {
			top = bench.Median(runs[cell{row.name, ceiling}])
		}
		first := row.goal.figures[0]
		if top != nil {
			l.toCeiling = fmt.Sprintf("%.2f", first.of(ours)/first.of(top))
		}
		l.toRival = toBest(first, ours, row, runs, func(other string) bool { return other != ceiling && other != nodeMemory })
		l.toMemory = toBest(first, ours, row, runs, func(other string) bool { return other == nodeMemory })
		var texts []string
		for _, f := range row.goal.figures {
			texts = append(texts, f.name+" "+number(f.of(ours), f.unit))
			if f.misses(ours, top) {
				l.verdict = "missed"
			}
		}
		l.measured = strings.Join(texts, ", ")
		r.lines = append(r.lines, l)
	}
	return r
}

// misses reports that a figure is on the wrong side of its bound. One without a
// bound is there to be seen.
func (f figure) misses(ours, top *bench.Result) bool {
	bound := f.bound
	if f.share {
		bound *= f.of(top)
	}
	if f.within {
		return bound > 0 && f.of(ours) > bound
	}
	return f.of(ours) < bound
}

// toBest is the ratio to the best of some of the others: above 1 is better for
// rates, below 1 for times.
func toBest(f figure, ours *bench.Result, row row, runs map[cell][]*bench.Result, of func(other string) bool) string {
	name, best := "", 0.0
	for _, other := range row.others {
		m := bench.Median(runs[cell{row.name, other}])
		if !of(other) || m == nil || !m.OK {
			continue
		}
		if v := f.of(m); name == "" || (v < best) == f.within {
			name, best = other, v
		}
	}
	if name == "" || best == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f (%s, %s)", f.of(ours)/best, number(best, f.unit), name)
}

func number(v float64, unit string) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM %s", v/1e6, unit)
	case v >= 10_000:
		return fmt.Sprintf("%.1fk %s", v/1e3, unit)
	case v >= 100:
		return fmt.Sprintf("%.0f %s", v, unit)
	case v >= 10:
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}

func (l line) plain() string {
	return fmt.Sprintf("%-12s %-38s %-28s %-40s ceiling %s, rival %s: %s", l.ours, l.name, l.goal.text, l.measured, l.toCeiling, l.toRival, l.verdict)
}

func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Made by `+"`make bench`"+` on %s, in %v. Medians of %d rounds; in each round every server is started anew, and all run
one after the other on the same machine, beside the generator: %s

**Absolute figures are as of that machine and that day.** What carries over are the ratios: to an echo handler that drops what it is sent
(the most that HTTP gives here, `+"`mainstem bench ceiling`"+`), to the best of the others in the same run that sync what they acknowledge, and to one that does not. Ours sync each append to disk, on a
quorum where there are three nodes; "reference, memory" is the protocol's reference server in Node, which keeps nothing, "reference, file" syncs as ours do; etcd and NATS are
three nodes each, with a sync of every message, through their own Go clients, a key or stream of its own for each writer.
All figures are of runs in which everything was read back and nothing was lost, doubled or out of order. Messages are JSON of 256 bytes unless said
otherwise. One figure by hand, against any server: `+"`mainstem bench --help`"+`.

| row | on | target | measured | to the ceiling | to the best that is durable | to the reference in memory | |
|---|---|---|---|---|---|---|---|
`, r.begin.UTC().Format("2006-01-02 15:04 UTC"), r.took.Round(time.Second), r.rounds, machine())
	for _, l := range r.lines {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", l.name, l.ours, l.goal.text, l.measured, l.toCeiling, l.toRival, l.toMemory, l.verdict)
	}
	fmt.Fprint(&b, "\n## What misses, and why\n\n")
	for _, l := range r.lines {
		if l.verdict == "reached" {
			continue
		}
		why := whys()[cell{l.name, l.ours}]
		if why == "" {
			why = "Not understood yet; on a machine that does other work too, repeat it first."
		}
		fmt.Fprintf(&b, "- **%s, %s** (target %s, measured %s). %s\n", l.name, l.ours, l.goal.text, l.measured, why)
	}
	return b.String()
}

// Parts of the page that a run may leave as they are, by their headings.
const (
	soakBegins   = "\n## At 70 % of the load\n"
	byHandBegins = "\n## Where the time goes\n" // written by people
)

// partsOf splits a page: the table of rows, the soak, and what is written by hand.
func partsOf(path string) (rows, soak, byHand string) {
	page, err := os.ReadFile(path)
	if err != nil {
		return "", "", ""
	}
	rows = string(page)
	if at := strings.Index(rows, byHandBegins); at >= 0 {
		rows, byHand = rows[:at], rows[at:]
	}
	if at := strings.Index(rows, soakBegins); at >= 0 {
		rows, soak = rows[:at], rows[at:]
	}
	return rows, soak, byHand
}

// machine says where it was measured.
func machine() string {
	model, memory := "unknown processor", uint64(0)
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		memory = uint64(info.Totalram) * uint64(info.Unit)
	}
	load := "unknown"
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Join(slices.Collect(strings.FieldsSeq(string(data)))[:3], " ")
	}
	commit := "unknown"
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d processors, %d GiB, %s/%s, %s, commit %s, load at the end %s.",
		model, runtime.NumCPU(), memory>>30, runtime.GOOS, runtime.GOARCH, runtime.Version(), commit, load)
}
