package sim

import (
	"syscall"
	"time"
)

// realSince is the time that went by outside of the bubble, where a clock is
// asked of the operating system.
func realSince(begin time.Time) time.Duration {
	var now syscall.Timeval
	_ = syscall.Gettimeofday(&now) // cannot fail with a valid pointer
	return time.Unix(now.Unix()).Sub(begin.Round(0)).Round(time.Millisecond)
}
