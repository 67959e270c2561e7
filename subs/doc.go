// Package subs holds the rules of subscriptions (§6 and §7 of the protocol) as
// values and pure functions: configurations, globs, cursors, wakes, leases,
// retries, signing keys, and the commands that enter the replicated log.
//
// It does not know a clock, a disk, a network, raft, HTTP or a goroutine. Time
// comes in commands; wake ids, keys and jitter are drawn by whoever proposes.
// Two replicas that make the same calls in the same order hold the same bytes.
//
//	idle ── Wake ──▶ sending ─┬─ Delivered, callback ──▶ taken ─────┬─ done, lapse ──▶ idle
//	(webhook)          ▲      └─ DeliveryFailed ──▶ retrying        │
//	                   └────────────── Attempt ────────┘            │
//	idle ── Wake ──▶ announced ── Claim ──▶ claimed ────────────────┘ (pull-wake)
package subs
