// Package bench measures the real binary, alone and as three nodes, beside an echo
// handler and the reference server of the protocol, all in the same run, and writes
// docs/benchmarks.md: make bench.
package bench
