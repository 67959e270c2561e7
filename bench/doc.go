// Package bench measures servers of the Durable Streams protocol from outside. It
// speaks the protocol and nothing else, so that it runs against any of them, and it
// checks what it reads: a run in which something was lost, doubled, out of order or
// refused is not a measurement.
//
// It does not know Mainstem.
//
//	Run ──▶ scenario ──▶ lanes and readers ──▶ client (HTTP/1.1, one connection each)
//	            └──▶ Result: rates, latencies, what was checked
//	Compare ──▶ Run on two targets in turn ──▶ ratios of medians
package bench
