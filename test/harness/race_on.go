//go:build race

package harness

// Race tells that the race detector is on, which allocates, and finds faults in
// what others wrote.
const Race = true
