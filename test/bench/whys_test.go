package bench

// whys says why rows miss their targets, and what was tried.
func whys() map[cell]string {
	return map[cell]string{
		{"append, 16 writers", oneNode}:             "Sixteen callers wait for one answer each, so the rate is sixteen over the time of an answer, and that holds an fsync which at most sixteen share. Tried: syncs that wait for data alone (ADR 28), rounds in one entry (ADR 22), fewer hand-offs in a batch (53 to 44 allocations).",
		{"append, 256 writers", oneNode}:            "CPU is the limit: 63 % of the profile is net/http and the system calls of one request and one answer, which the ceiling pays too; the rest is pebble's table in memory, the log, and allocation. Tried: small tables in memory, fewer allocations. Left: the key of a stream's state is written for each append, though only its tail has moved; that is a guess of a tenth of all CPU.",
		{"append, 1 writer", oneNode}:               "One fsync, two passes through the scheduler and one HTTP exchange, one after the other: 0.39 ms. A write and its sync alone take 0.165 ms on this disk (median, three files at a time); fdatasync over blocks that are ready took that from 0.29 ms.",
		{"append, 16 writers", threeNodes}:          "Three nodes and the generator share two cores: an append costs 90 to 110 µs of server CPU in all. Tried: entries that go out while the leader stores them (ADR 27: × 1.09), syncs that wait for data alone (× 1.27), rounds that share an entry. Left: a codec of our own for AppendEntries (an estimated 5 %), one key for a session in place of three.",
		{"append, 64 writers", threeNodes}:          "The same; here the two cores are full. The experiment behind the target served HTTP at the leader alone, in one process, without forwarding, sessions or state keys.",
		{"append, 256 writers", threeNodes}:         "The same: 35,000 a second on two cores would leave 57 µs for an append on three nodes and the generator.",
		{"append, 1 writer", threeNodes}:            "One hop, one round of AppendEntries and two disks side by side (one after the other before ADR 27). What remains was not taken apart further.",
		{"append, 256 writers", slowDisks}:          "Not taken apart yet. Without the delay the same load reaches its row above, with the cores full; strace stops the process at each sync, and that is in this figure. Tried: entries that go out while the leader stores them (ADR 27), which with a delay made by sleeping gave × 1.18 at this depth and × 2.1 with one writer.",
		{"batches of 100 messages", oneNode}:        "Four writers, each with one batch of 25 KB under way: the rate is four over the time of an answer. The body is scanned once as JSON, written to the log and to pebble. Not profiled in this round of work, and nothing was tried; the ceiling does not sync.",
		{"64 KB bodies, 8 writers", oneNode}:        "Each byte is written to the log, to a table, and again by compactions, on one virtual disk. Tried: compactions at half as many bytes (× 0.87, CPU × 1.28; not kept), tables of 8 MiB (× 1.02). Not tried: separate files for large values in pebble.",
		{"SSE, 100 tails × 100/s", oneNode}:         "An append with its sync, then a hundred writes to sockets, on the cores that the hundred readers of the generator use. Tried: frames that are encoded once, connections taken from net/http so that no timer or goroutine is woken for a tail (ADR 24).",
		{"SSE, 1,000 tails × 20/s", oneNode}:        "A thousand writes to sockets for each message, and as many reads in the generator, on the same two cores; the median is within its bound.",
		{"long-poll, 100 × 50/s", oneNode}:          "A hundred answers and a hundred new requests for each message, through net/http, on the cores of the generator. Nothing was tried in this round of work.",
		{"the same, through followers", threeNodes}: "A hop, a round and two disks before the tail; see the append with three nodes.",
	}
}
