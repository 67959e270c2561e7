package main

import (
	"bytes"
	"slices"
	"sync"

	"mainstem/operator"
)

// What a node holds of its log in memory, to be handed out with a debug bundle.
const (
	recentBytesMax     = 1 << 20
	recentLineBytesMax = 16 << 10 // a longer line is cut
)

// recentLog holds the last lines of the log. Each Write is one line, as slog's
// handlers write.
type recentLog struct {
	mu      sync.Mutex // guards the rest
	lines   [][]byte
	bytes   int
	dropped uint64
}

func (r *recentLog) Write(p []byte) (int, error) {
	line := bytes.TrimRight(p, "\n")
	line = bytes.Clone(line[:min(len(line), recentLineBytesMax)])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	r.bytes += len(line)
	for len(r.lines) > operator.LogLinesMax || r.bytes > recentBytesMax {
		r.bytes -= len(r.lines[0])
		r.lines[0] = nil
		r.lines = r.lines[1:]
		r.dropped++
	}
	return len(p), nil
}

// last returns the newest n lines, the oldest first, and how many there were before
// them. The caller does not change them.
func (r *recentLog) last(n int) (lines [][]byte, before uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := max(0, len(r.lines)-n)
	return slices.Clone(r.lines[from:]), r.dropped + uint64(from)
}
