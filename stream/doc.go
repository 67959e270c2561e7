// Package stream holds the rules of the Durable Streams protocol as values and
// pure functions: names, offsets, lifetimes, JSON framing, producers, closure,
// forks, and the commands that enter the replicated log.
//
// It does not know a clock, a disk, a network, raft, HTTP or a goroutine. Time
// comes in commands; what is stored is asked of a View. Two replicas that make
// the same calls in the same order hold the same bytes.
package stream
