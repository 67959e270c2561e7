package cluster

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"mainstem/stream"
)

const (
	// aheadMax is how far a leader may move machine time ahead of the median
	// clock: expiry cannot be taken back.
	aheadMax = 60 * time.Second
	// readingLife is how long a peer's clock reading counts.
	readingLife = 5 * time.Minute
	// aheadLogInterval is how often a leader says that its clock is ahead.
	aheadLogInterval = 30 * time.Second
)

// clock stamps batches with this node's time, but not far ahead of the others'.
type clock struct {
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	peers  map[string]reading
	warned time.Time
}

// reading is a peer's clock as it was at a moment of this process's monotonic
// clock, which a jump of this node's own clock does not touch.
type reading struct {
	clock time.Time
	at    time.Time
}

func newClock(now func() time.Time, log *slog.Logger) *clock {
	return &clock{now: now, log: log, peers: map[string]reading{}}
}

// observe records a peer's clock as of now.
func (c *clock) observe(id string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers[id] = reading{clock: at, at: time.Now()}
}

// stamp is the time to put into a batch.
func (c *clock) stamp() stream.Time {
	own := c.now()
	limit, known := c.limit(own)
	if !known || !own.After(limit) {
		return stream.TimeOf(own)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.warned) >= aheadLogInterval {
		c.warned = time.Now()
		c.log.Warn("this node's clock is far ahead of its peers'; their time is used", "ahead", own.Sub(limit)+aheadMax)
	}
	return stream.TimeOf(limit)
}

// limit is the latest time that the clocks of this node and its peers allow.
func (c *clock) limit(own time.Time) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clocks := []time.Time{own}
	for id, r := range c.peers {
		age := time.Since(r.at)
		if age > readingLife {
			delete(c.peers, id)
			continue
		}
		clocks = append(clocks, r.clock.Add(age))
	}
	if len(clocks) == 1 {
		return time.Time{}, false
	}
	slices.SortFunc(clocks, time.Time.Compare)
	return clocks[(len(clocks)-1)/2].Add(aheadMax), true // of an even number the earlier
}
