package sim

import (
	"sync/atomic"
	"time"
)

// Clock is a node's own clock, which may be wrong.
type Clock struct{ skew atomic.Int64 }

// Now is the time as this clock shows it.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Skew()) }

// Skew is how far the clock is ahead.
func (c *Clock) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// Set puts the clock ahead of the true time, or behind it.
func (c *Clock) Set(skew time.Duration) { c.skew.Store(int64(skew)) }
