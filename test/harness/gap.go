package harness

import (
	"sync"
	"time"
)

// Gap finds the longest time between two acknowledgements.
type Gap struct {
	mu   sync.Mutex // guards what follows
	last time.Time
	max  time.Duration
}

// Start begins the first measurement.
func (g *Gap) Start() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = time.Now()
}

// Reset begins a new one. The time since the last acknowledgement counts.
func (g *Gap) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.max = 0
}

// Tick is one acknowledgement.
func (g *Gap) Tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.max = max(g.max, now.Sub(g.last))
	g.last = now
}

// Longest is the longest time so far.
func (g *Gap) Longest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.max.Round(time.Millisecond)
}
