package cluster

import (
	"errors"
	"sync/atomic"
)

// errForwardedFull is told to a node whose batch finds no room on the leader. It
// tries again until its SubmitTimeout, and meanwhile takes no more itself.
var errForwardedFull = errors.New("the leader has as much from other nodes on its way as it takes")

// load is memory of batches that other nodes have sent, with a limit for all of
// them. One is always let in, however large.
type load struct {
	max  int64
	held atomic.Int64
}

// take reports whether there was room for n bytes, and holds them if so.
func (l *load) take(n int64) bool {
	if now := l.held.Add(n); now > l.max && now != n {
		l.held.Add(-n)
		return false
	}
	return true
}

func (l *load) give(n int64) { l.held.Add(-n) }
