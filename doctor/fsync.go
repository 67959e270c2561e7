package doctor

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// FsyncWorst is the slowest that is told apart: what takes longer counts as that.
	FsyncWorst = time.Minute

	// What a disk may take. An append waits for two of them in a cluster: the
	// leader's, and a follower's.
	fsyncGood = 10 * time.Millisecond  // of 99 %
	fsyncBad  = 100 * time.Millisecond // of 99 %: half of a fast election's patience
)

// JudgeFsync says what the figures, in microseconds, mean, and whether a node can live with them.
func JudgeFsync(h *hdrhistogram.Histogram) (sentence string, ok bool) {
	p99 := time.Duration(h.ValueAtQuantile(99)) * time.Microsecond
	switch {
	case p99 <= fsyncGood:
		return "good: such a disk does not hold appends back", true
	case p99 <= fsyncBad:
		return fmt.Sprintf("slow: an append in a cluster waits for two such writes, some %s in one of a hundred cases; a local SSD, or a volume with more operations per second, is better", 2*p99), true
	}
	return fmt.Sprintf("too slow: one of a hundred writes takes above %s, so that leaders will be taken for dead; use a local SSD or a volume with more operations per second, and nothing else on it", fsyncBad), false
}
