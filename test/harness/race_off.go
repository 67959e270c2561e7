//go:build !race

package harness

// Race tells that the race detector is on.
const Race = false
