package cluster

import "sync"

// gate counts what is under way. It can be held shut, and what is under way
// awaited.
type gate struct {
	mu    sync.Mutex // guards what follows
	n     int
	holds int
	empty chan struct{} // made by hold; closed when n is 0
}

// enter reports false while the gate is held shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds > 0 {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.holds > 0 && g.n == 0 {
		close(g.empty)
	}
}

// hold shuts the gate until release, and returns a channel that is closed when
// nothing is under way.
func (g *gate) hold() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds++
	if g.holds == 1 {
		g.empty = make(chan struct{})
		if g.n == 0 {
			close(g.empty)
		}
	}
	return g.empty
}

// release takes back one hold.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds--
}
