//go:build race

package httpapi

// raceAllocs is how many allocations a path may make that should make none: the
// race detector drops what is put into a pool at random.
const raceAllocs = 3
