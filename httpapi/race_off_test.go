//go:build !race

package httpapi

// raceAllocs is how many allocations a path may make that should make none.
const raceAllocs = 0
