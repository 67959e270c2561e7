package bench

import (
	"time"

	"mainstem/bench"
)

// row is one line of the table: what is run, on what, and what it should reach.
type row struct {
	name   string
	config bench.Config
	ours   string   // which of our servers it is about
	others []string // what it is measured against in the same run
	follow bool     // all clients use nodes that do not lead
	cold   bool     // the server is started anew, with a cold disk, before it is read from; in one round only
	goal   goal
}

// goal is what a row should reach, and how it is said.
type goal struct {
	text    string
	figures []figure
}

// figure is one number of a result. A share is of the same figure of the ceiling.
type figure struct {
	name   string
	unit   string
	of     func(*bench.Result) float64
	bound  float64
	within bool // at most the bound; else at least
	share  bool // the bound is a part of the ceiling's figure
}

func rate(name, unit string, least float64) figure {
	return figure{name: name, unit: unit, bound: least, of: func(r *bench.Result) float64 { return r.Rates[name] }}
}

func shareOfCeiling(name, unit string, least float64) figure {
	f := rate(name, unit, least)
	f.share = true
	return f
}

func p50(name string, most float64) figure {
	return figure{name: "p50", unit: "ms", bound: most, within: true, of: func(r *bench.Result) float64 { return r.Latencies[name].P50 }}
}

func p99(name string, most float64) figure {
	return figure{name: "p99", unit: "ms", bound: most, within: true, of: func(r *bench.Result) float64 { return r.Latencies[name].P99 }}
}

func memory(most float64) figure {
	return figure{name: "resident", unit: "MB", bound: most, within: true, of: func(r *bench.Result) float64 { return r.Server.MemoryMax }}
}

// afterAck is how much later than its acknowledgement a message arrives, by medians.
func afterAck(most float64) figure {
	return figure{name: "p50 of delivery less p50 of the acknowledgement", unit: "ms", bound: most, within: true, of: func(r *bench.Result) float64 {
		return r.Latencies["delivery"].P50 - r.Latencies["append"].P50
	}}
}

const measured = 2 * time.Second

// writers is a run of appends.
func writers(n int) bench.Config {
	return bench.Config{Scenario: "append", Connections: n, Streams: n, Duration: measured}
}

func tails(mode string, readers int, rate float64) bench.Config {
	return bench.Config{Scenario: "fanout", Mode: mode, Readers: readers, Rate: rate, Duration: measured}
}

func rows() []row {
	references := []string{nodeMemory, nodeFile}
	withCeiling := append([]string{ceiling}, references...)
	replicated := append([]string{etcd, nats}, references...)
	appends := func(least float64) []figure { return []figure{rate("appends/s", "/s", least)} }
	return []row{
		{name: "append, 16 writers", config: writers(16), ours: oneNode, others: withCeiling,
			goal: goal{"0.5 of the ceiling", []figure{shareOfCeiling("appends/s", "/s", 0.5), p99("append", 0)}}},
		{name: "append, 256 writers", config: writers(256), ours: oneNode, others: withCeiling,
			goal: goal{"0.65 of the ceiling", []figure{shareOfCeiling("appends/s", "/s", 0.65)}}},
		{name: "append, 1 writer", config: writers(1), ours: oneNode, others: withCeiling, goal: goal{"4k/s", appends(4000)}},
		{name: "append, 16 writers", config: writers(16), ours: threeNodes, others: replicated,
			goal: goal{"10k/s, p99 5 ms", append(appends(10_000), p99("append", 5))}},
		{name: "append, 64 writers", config: writers(64), ours: threeNodes, others: replicated, goal: goal{"22k/s", appends(22_000)}},
		{name: "append, 256 writers", config: writers(256), ours: threeNodes, goal: goal{"35k/s", appends(35_000)}},
		{name: "append, 1 writer", config: writers(1), ours: threeNodes, others: replicated, goal: goal{"1.8k/s", appends(1800)}},
		{name: "append, 256 writers", config: writers(256), ours: slowDisks, goal: goal{"20k/s", appends(20_000)}},
		{name: "batches of 100 messages", config: bench.Config{Scenario: "batch", Connections: 4, Streams: 4, Duration: measured}, ours: oneNode, others: withCeiling,
			goal: goal{"1M messages/s", []figure{rate("messages/s", "messages/s", 1e6)}}},
		{name: "64 KB bodies, 8 writers", config: bench.Config{Scenario: "append", Connections: 8, Streams: 8, Size: 64 << 10, Duration: measured}, ours: oneNode, others: withCeiling,
			goal: goal{"300 MB/s, memory bounded", []figure{rate("MB/s", "MB/s", 300), memory(600)}}},
		{name: "catch-up, 64 MB, 4 readers, warm", config: bench.Config{Scenario: "catchup", Duration: measured}, ours: oneNode, others: references,
			goal: goal{"2.5 GB/s in pages", []figure{rate("MB/s", "MB/s", 2500)}}},
		{name: "catch-up, 4 GB in one stream, cold", config: bench.Config{Scenario: "catchup", Megabytes: 4000, Connections: 1, Duration: time.Second, Warmup: -1, Timeout: time.Minute}, cold: true,
			ours: oneNode, goal: goal{"300 MB/s", []figure{rate("MB/s", "MB/s", 300)}}},
		{name: "SSE, 100 tails × 100/s", config: tails(bench.ModeSSE, 100, 100), ours: oneNode, others: references,
			goal: goal{"p50 1.2, p99 3 ms", []figure{p50("delivery", 1.2), p99("delivery", 3)}}},
		{name: "SSE, 1,000 tails × 20/s", config: tails(bench.ModeSSE, 1000, 20), ours: oneNode, others: references[:1],
			goal: goal{"p50 10, p99 20 ms", []figure{p50("delivery", 10), p99("delivery", 20)}}},
		{name: "long-poll, 100 × 50/s", config: tails(bench.ModeLongPoll, 100, 50), ours: oneNode, others: references,
			goal: goal{"p50 1.2, p99 4 ms", []figure{p50("delivery", 1.2), p99("delivery", 4)}}},
		{name: "1,000 streams, a tail each, 1,000/s", config: bench.Config{Scenario: "mixed", Duration: measured}, ours: oneNode, others: references[:1],
			goal: goal{"p50 0.8, p99 4 ms", []figure{p50("delivery", 0.8), p99("delivery", 4)}}},
		{name: "the same, through followers", config: bench.Config{Scenario: "mixed", Duration: measured}, ours: threeNodes, follow: true,
			goal: goal{"p99 8 ms", []figure{p50("delivery", 0), p99("delivery", 8)}}},
		{name: "acknowledged → on a follower's tail", config: tails(bench.ModeSSE, 10, 100), ours: threeNodes, follow: true,
			goal: goal{"0.3 ms", []figure{afterAck(0.3)}}},
		{name: "create", config: bench.Config{Scenario: "create"}, ours: oneNode, others: references[:1],
			goal: goal{"12k/s", []figure{rate("creates/s", "/s", 12_000)}}},
		{name: "a storm of 300 creates", config: bench.Config{Scenario: "create", Streams: 300, Connections: 300}, ours: oneNode, others: references[:1],
			goal: goal{"40 ms, connections included", []figure{storm(300, 40)}}},
		{name: "10,000 idle SSE tails", config: bench.Config{Scenario: "fanout", Readers: 10_000, Rate: 1, Duration: measured}, ours: oneNode,
			goal: goal{"120 MB", []figure{memory(120)}}},
		{name: "100,000 idle streams", config: bench.Config{Scenario: "create", Streams: 100_000, Connections: 64}, ours: oneNode,
			goal: goal{"300 MB", []figure{memory(300)}}},
	}
}

// storm is how long it takes to create so many streams at once.
func storm(n, most float64) figure {
	return figure{name: "all of them", unit: "ms", bound: most, within: true, of: func(r *bench.Result) float64 { return 1000 * n / r.Rates["creates/s"] }}
}
