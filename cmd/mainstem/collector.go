package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// heapFloor is how far the heap may grow before it is collected, however little
	// of it lives. A node that serves live tails of a few streams keeps 4 MB: the
	// runtime would collect at 8, several times a second, and each time stop all
	// processors and take time from requests.
	heapFloor = 48 << 20
	// floorShare is the part of a memory limit that the floor may be.
	floorShare = 8
	// usualPercent is what the runtime does by itself: collect when the heap has
	// doubled. So it is when more lives than half the floor.
	usualPercent = 100
	// mostPercent bounds what a heap may grow by that was nearly empty.
	mostPercent = 1100
	// liveMetric is what the last collection has left.
	liveMetric = "/gc/heap/live:bytes"
)

// collector sets, after each collection, when the next is due.
type collector struct {
	floor uint64

	mu      sync.Mutex // guards what follows
	percent int
	over    bool
}

// relaxCollector lets small heaps grow to heapFloor until stop is called, unless the
// operator has said by GOGC how it is to be.
func relaxCollector() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	floor := uint64(heapFloor)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		floor = min(floor, uint64(limit)/floorShare)
	}
	c := &collector{floor: floor, percent: usualPercent}
	c.adjust()
	return c.stop
}

// adjust is called at the start and after each collection: by then what the last call
// has left for the collector is gone.
func (c *collector) adjust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	live := []metrics.Sample{{Name: liveMetric}}
	metrics.Read(live)
	if want := percentFor(live[0].Value.Uint64(), c.floor); tellsApart(want, c.percent) {
		c.percent = want
		debug.SetGCPercent(want)
	}
	left := new([8]*byte) // not so small that it shares its place with others
	runtime.AddCleanup(left, func(c *collector) { c.adjust() }, c)
}

func (c *collector) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	debug.SetGCPercent(usualPercent)
}

// percentFor is by how much a heap of which so much lives may grow.
func percentFor(live, floor uint64) int {
	if live >= floor {
		return usualPercent
	}
	return int(min(max((floor-live)*100/max(live, 1), usualPercent), mostPercent))
}

// tellsApart spares the runtime changes that make no difference: each stops it for a
// moment.
func tellsApart(a, b int) bool { return a != b && (a == usualPercent || 10*max(a-b, b-a) > b) }
