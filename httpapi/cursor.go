package httpapi

import (
	"strconv"
	"time"
)

// Cursors count intervals since an epoch (§10.1), so that a cache that has
// stored an answer to one cursor is not asked with the same for ever.
const (
	cursorEpoch      = 1728432000 // 2024-10-09T00:00:00Z
	cursorInterval   = 20 * time.Second
	cursorJitterSecs = 3600
	cursorMax        = 1 << 53 // none that we gave out is above it
)

// cursor returns the interval number of now, or a greater one than the client's
// if the client is there already.
func (s *Server) cursor(client string) uint64 {
	current := s.currentCursor()
	theirs, err := strconv.ParseUint(client, 10, 64)
	if err != nil || theirs > cursorMax || theirs < current {
		return current
	}
	seconds := 1 + s.cfg.Jitter(cursorJitterSecs)
	return theirs + max(1, uint64(seconds)/uint64(cursorInterval/time.Second))
}

func (s *Server) currentCursor() uint64 {
	return uint64(max(0, s.cfg.Now().Unix()-cursorEpoch)) / uint64(cursorInterval/time.Second)
}
